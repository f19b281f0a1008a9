//! Master keys of encrypted images.

use crate::ServerError;
use crate::encryption::master_key;
use clap::Subcommand;
use mingying_blob::MasterKey;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Make a master key in a new file that only its owner can read
    New {
        /// A file that is not there yet, on another disk than the backup
        file: PathBuf,
    },
    /// Print the id of a key, by which packs name it
    Id { file: PathBuf },
}

pub(super) fn run(command: &KeyCommand) -> Result<ExitCode, ServerError> {
    match command {
        KeyCommand::New { file } => {
            let key = MasterKey::random()?;
            write_new(file, key.to_text().as_bytes()).map_err(ServerError::file(file))?;
            println!("key {} in {}", key.id(), file.display());
            println!("Copy it to a second safe place now, and never into the folder or medium of the backup.");
            println!("Images encrypted with it are lost for ever when it is lost, those in backups too.");
        }
        KeyCommand::Id { file } => println!("{}", master_key(file)?.id()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Never over an older key.
fn write_new(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
