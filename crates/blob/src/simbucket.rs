//! An object store in memory that fails in the ways that a real one does.

use crate::objects::Bucket;
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as Place;
use object_store::{
    CopyOptions, Error, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How every request fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    None,
    /// An error, as after retries of a 5xx.
    Fails,
    /// No answer ever.
    Hangs,
    /// As if nothing were there.
    Absent,
    /// Fewer bytes than asked for.
    Short,
    /// What is written is not what was sent.
    Garbles,
}

/// The object store. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SimBucket {
    inner: Arc<InMemory>,
    fault: Arc<Mutex<Fault>>,
}

impl std::fmt::Display for SimBucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimBucket")
    }
}

impl SimBucket {
    pub fn new() -> Self {
        Self::default()
    }

    /// A configuration with it: small pieces, little patience, recalled pieces in `recall`.
    pub fn bucket(&self, recall: &Path) -> Bucket {
        Bucket {
            store: Arc::new(self.clone()),
            prefix: "hospital".to_owned(),
            patience: Duration::from_millis(200),
            recall: recall.to_owned(),
            recall_size: 1 << 20,
            piece: 1000,
        }
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of the objects.
    pub async fn names(&self) -> Vec<String> {
        let list = self.inner.list_with_delimiter(Some(&Place::from("hospital"))).await;
        let objects = list.map(|list| list.objects).unwrap_or_default();
        objects.iter().filter_map(|meta| meta.location.filename().map(str::to_owned)).collect()
    }

    /// Flips the lowest bit of a byte of an object.
    pub async fn flip(&self, name: &str, at: usize) -> Result<()> {
        let place = Place::from(format!("hospital/{name}"));
        let mut bytes = self.inner.get(&place).await?.bytes().await?.to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        self.inner.put(&place, bytes.into()).await.map(drop)
    }

    pub async fn delete_object(&self, name: &str) -> Result<()> {
        self.inner.delete(&Place::from(format!("hospital/{name}"))).await
    }

    async fn pass(&self, place: &Place) -> Result<()> {
        match self.fault() {
            Fault::Fails => Err(Error::Generic { store: "SimBucket", source: "503 Slow Down".into() }),
            Fault::Hangs => std::future::pending().await,
            Fault::Absent => Err(Error::NotFound { path: place.to_string(), source: "404 NoSuchKey".into() }),
            Fault::None | Fault::Short | Fault::Garbles => Ok(()),
        }
    }

    fn garbled(&self, payload: PutPayload) -> PutPayload {
        if self.fault() != Fault::Garbles {
            return payload;
        }
        let mut bytes: Vec<u8> = payload.iter().flat_map(|bytes| bytes.to_vec()).collect();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        bytes.into()
    }
}

#[async_trait]
impl ObjectStore for SimBucket {
    async fn put_opts(&self, place: &Place, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.pass(place).await?;
        self.inner.put_opts(place, self.garbled(payload), options).await
    }

    async fn put_multipart_opts(
        &self,
        place: &Place,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.pass(place).await?;
        self.inner.put_multipart_opts(place, options).await
    }

    async fn get_opts(&self, place: &Place, mut options: GetOptions) -> Result<GetResult> {
        self.pass(place).await?;
        if self.fault() == Fault::Short
            && let Some(GetRange::Bounded(range)) = &mut options.range
            && range.end - range.start > 1
        {
            range.end -= 1;
        }
        self.inner.get_opts(place, options).await
    }

    fn delete_stream(&self, places: BoxStream<'static, Result<Place>>) -> BoxStream<'static, Result<Place>> {
        use futures::StreamExt as _;
        let this = self.clone();
        let deleted = places.then(move |place| {
            let this = this.clone();
            async move {
                let place = place?;
                this.pass(&place).await?;
                this.inner.delete(&place).await?;
                Ok(place)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Place>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Place>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Place, to: &Place, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
