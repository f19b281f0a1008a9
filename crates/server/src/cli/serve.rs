//! `mingying serve`.

use super::PlaceArgs;
use crate::{Config, DEMO_PASSWORD, Overrides, Running, ServerError};
use clap::Args;
use mingying_kernel::Role;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Args)]
pub(super) struct ServeArgs {
    /// Address of the web side
    #[arg(long, env = "MINGYING_HTTP", value_name = "ADDRESS:PORT")]
    http: Option<String>,
    /// Address of the DICOM side, or off
    #[arg(long, env = "MINGYING_DIMSE", value_name = "ADDRESS:PORT")]
    dimse: Option<String>,
    /// Address of the HL7 side, or off
    #[arg(long, env = "MINGYING_HL7", value_name = "ADDRESS:PORT")]
    hl7: Option<String>,
    /// auto, off (loopback only), or CERTIFICATE.pem,KEY.pem
    #[arg(long, env = "MINGYING_TLS")]
    tls: Option<String>,
    /// Where people and patients reach this server, for links and codes
    #[arg(long, env = "MINGYING_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Fill a new installation with demonstration data
    #[arg(long, env = "MINGYING_DEMO")]
    demo: bool,
    /// Allow the demonstration's known password outside loopback
    #[arg(long, env = "MINGYING_DEMO_PUBLIC")]
    demo_public: bool,
}

pub(super) async fn serve(place: &PlaceArgs, args: ServeArgs) -> Result<ExitCode, ServerError> {
    log();
    let config = Config::load(Overrides {
        http: args.http,
        dimse: args.dimse,
        hl7: args.hl7,
        tls: args.tls,
        public_url: args.public_url,
        demo: args.demo,
        demo_public: args.demo_public,
        ..place.overrides()
    })?;
    // Caught from here on: a signal during a long start must end it in good order too.
    let said = |source| ServerError::Said(format!("signals: {source}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(said)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(said)?;
    let demo_file = config.data_dir.join("demo-token");
    let ae_title = config.ae_title.clone();
    let running = crate::start(config).await?;
    announce(&running, &ae_title, &demo_file);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = running.cancelled() => {}
    }
    tracing::info!("draining");
    let lost = running.is_lost();
    running.stop().await;
    tracing::info!("stopped");
    // Whoever watches the process is to start it again.
    Ok(if lost { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// `MINGYING_LOG` filters (`info`, `mingying_dimse=debug`); `MINGYING_LOG_FORMAT=json` for machines.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MINGYING_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let json = std::env::var("MINGYING_LOG_FORMAT").is_ok_and(|format| format == "json");
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start within one process keeps the first one's log.
    let _ = if json { lines.json().try_init() } else { lines.try_init() };
}

fn announce(running: &Running, ae_title: &str, demo_file: &std::path::Path) {
    println!("Mingying {}", env!("CARGO_PKG_VERSION"));
    println!("  web    {}", running.url);
    if let Some(address) = running.dimse_addr {
        println!("  DICOM  {address}  AE title {ae_title}");
    }
    if let Some(address) = running.hl7_addr {
        println!("  HL7    {address}  (MLLP)");
    }
    if let Some(token) = &running.demo_token {
        let users: Vec<&str> = Role::PEOPLE.into_iter().map(Role::as_str).collect();
        println!("  users  {}", users.join(", "));
        println!("         password of each: {DEMO_PASSWORD}");
        println!("  token  {token}");
        println!("         for machines; also in {}", demo_file.display());
    }
}
