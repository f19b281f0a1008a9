//! The object store as S3, over HTTP.

use crate::BlobError;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// How a bucket is reached. Its `Debug` shows no secret.
#[derive(Clone)]
pub struct S3 {
    /// `https://host[:port]`; `None`: Amazon's own.
    pub endpoint: Option<String>,
    pub region: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: String,
    /// `endpoint/bucket/key`, as most servers outside Amazon want it, not `bucket.endpoint/key`.
    pub path_style: bool,
    /// Whom to trust.
    pub tls: Arc<rustls::ClientConfig>,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("S3");
        shown.field("endpoint", &self.endpoint).field("region", &self.region).field("bucket", &self.bucket);
        shown.finish_non_exhaustive()
    }
}

impl S3 {
    /// Makes the client; asks for nothing yet. Requests are retried within `patience`.
    pub fn client(self, patience: Duration) -> Result<Arc<dyn ObjectStore>, BlobError> {
        let plain = self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: patience / 4, base: 2.0 },
            max_retries: 4,
            retry_timeout: patience,
        };
        let mut builder = AmazonS3Builder::new()
            .with_region(self.region)
            .with_bucket_name(self.bucket)
            .with_access_key_id(self.access_key)
            .with_secret_access_key(self.secret_key)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_allow_http(plain)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(retry)
            .with_http_connector(Connector { tls: self.tls, patience });
        if let Some(endpoint) = self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|error| {
            tracing::error!(%error, "object store");
            BlobError::Misplaced("the object store's configuration is not usable")
        })?;
        Ok(Arc::new(store))
    }
}

/// Connections with the product's one TLS stack.
#[derive(Debug)]
struct Connector {
    tls: Arc<rustls::ClientConfig>,
    patience: Duration,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(rustls::ClientConfig::clone(&self.tls))
            // What stalls is asked for again before the reader's patience ends.
            .connect_timeout(self.patience / 4)
            .read_timeout(self.patience / 2)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let said = |error: reqwest::Error| object_store::Error::Generic { store: "S3", source: Box::new(error) };
        Ok(HttpClient::new(client.map_err(said)?))
    }
}
