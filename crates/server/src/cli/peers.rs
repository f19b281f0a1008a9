//! `mingying peer`: works on a running server too, which reads the register anew for each association.

use super::PlaceArgs;
use crate::ServerError;
use clap::Subcommand;
use mingying_dimse::{DimseError, ManagePeers, NewPeer, PeerKind, PeerRules, ReadPeers};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Subcommand)]
pub(super) enum PeerCommand {
    /// Add a peer
    Add {
        /// Application entity title
        #[arg(long)]
        aet: String,
        #[arg(long)]
        host: String,
        #[arg(long)]
        port: u16,
        /// modality, archive, workstation, other
        #[arg(long, default_value = "other")]
        kind: String,
        /// Specific Character Set of what is sent to it: "ISO_IR 192", GB18030
        #[arg(long, default_value = "ISO_IR 192")]
        charset: String,
        /// What it may do here: store, find, retrieve, worklist, mpps, commitment, parted by commas; all when absent
        #[arg(long, default_value = "")]
        services: String,
        /// Open associations at a time; as many as there are when absent
        #[arg(long)]
        max_associations: Option<u32>,
    },
    /// List peers
    List,
    /// Remove a peer
    Remove { aet: String },
    /// Ask a peer for a C-ECHO
    Echo { aet: String },
}

fn said(error: DimseError) -> ServerError {
    ServerError::Said(error.to_string())
}

pub(super) async fn run(args: &PlaceArgs, command: PeerCommand) -> Result<ExitCode, ServerError> {
    let (config, place) = args.open().await?;
    let ctx = place.operator();
    let manage = ctx.permit::<ManagePeers>()?;
    let mut code = ExitCode::SUCCESS;
    match command {
        PeerCommand::Add { aet, host, port, kind, charset, services, max_associations } => {
            let rules = PeerRules::parse(&services, max_associations).map_err(said)?;
            let new = NewPeer::parse(&aet, &host, port, PeerKind::parse(&kind), &charset).map_err(said)?;
            let peer = mingying_dimse::add_peer(&place.db, &manage, new.with_rules(rules)).await.map_err(said)?;
            println!("{} added", peer.aet);
        }
        PeerCommand::List => {
            let read = ctx.permit::<ReadPeers>()?;
            for peer in mingying_dimse::list_peers(&place.db, &read).await.map_err(said)? {
                let echo = match &peer.last_echo {
                    Some(echo) if echo.ok => format!("echo ok, {} ms", echo.ms),
                    Some(echo) => format!("echo failed: {}", echo.error.as_deref().unwrap_or("")),
                    None => "no echo yet".to_owned(),
                };
                let rules = match (peer.rules.words().as_str(), peer.rules.max_associations) {
                    ("", None) => String::new(),
                    (words, None) => format!("; {words}"),
                    (words, Some(most)) => format!("; {words} ({most} associations)"),
                };
                println!("{:<16} {}:{} {} {echo}{rules}", peer.aet.as_str(), peer.host, peer.port, peer.kind.as_str());
            }
        }
        PeerCommand::Remove { aet } => {
            mingying_dimse::remove_peer(&place.db, &manage, &aet).await.map_err(said)?;
            println!("{aet} removed");
        }
        PeerCommand::Echo { aet } => {
            let title = config.title()?;
            let echo = mingying_dimse::echo_peer(&place.db, &manage, &title, &aet, Duration::from_secs(10))
                .await
                .map_err(said)?;
            if echo.ok {
                println!("{aet} answered in {} ms", echo.ms);
            } else {
                println!("{aet} did not answer: {}", echo.error.as_deref().unwrap_or("unknown"));
                code = ExitCode::FAILURE;
            }
        }
    }
    place.db.close().await;
    Ok(code)
}
