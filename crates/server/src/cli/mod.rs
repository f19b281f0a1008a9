//! The command line.

mod doctor;
mod images;
mod keys;
mod peers;
mod serve;
mod users;

use crate::{Config, Overrides, Place, ServerError};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "mingying",
    version,
    about = "Mingying: a medical imaging centre's system",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Where the installation is; the same for every subcommand.
#[derive(Args)]
struct PlaceArgs {
    /// Folder that holds everything this installation keeps
    #[arg(long, global = true, env = "MINGYING_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// TOML file with the configuration
    #[arg(long, global = true, env = "MINGYING_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// postgres://… instead of SQLite in the data folder
    #[arg(long, global = true, env = "MINGYING_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::ServeArgs),
    /// Bring the database to this version's schema
    Migrate,
    /// Check configuration, database, disk, clock, fonts, ports and peers, and say what to do
    Doctor,
    /// People and machine tokens
    #[command(subcommand)]
    User(users::UserCommand),
    /// DICOM peers
    #[command(subcommand)]
    Peer(peers::PeerCommand),
    /// Store every DICOM file below a folder
    Import(images::ImportArgs),
    /// Write studies as DICOM files into a folder
    Export(images::ExportArgs),
    /// Compute the hash of every stored image again, heal what a replica has, and walk the audit chain
    Verify,
    /// Copy database and images, online and consistent, into a new folder, or what is new into that of an earlier backup
    Backup(images::BackupArgs),
    /// Make an installation from a backup; the data folder must be empty
    Restore(images::RestoreArgs),
    /// Master keys of encrypted images
    #[command(subcommand)]
    Key(keys::KeyCommand),
    /// Print the OpenAPI document
    Openapi,
}

impl PlaceArgs {
    fn overrides(&self) -> Overrides {
        Overrides {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            database: self.database.clone(),
            ..Overrides::default()
        }
    }

    fn config(&self) -> Result<Config, ServerError> {
        Config::load(self.overrides())
    }

    /// The configuration of an installation that exists; a mistyped folder must not become a new one.
    fn existing(&self) -> Result<Config, ServerError> {
        let config = self.config()?;
        if let Some(path) = config.database.strip_prefix("sqlite:")
            && !std::path::Path::new(path).exists()
        {
            return Err(ServerError::Said(format!("there is no installation in {}", config.data_dir.display())));
        }
        Ok(config)
    }

    /// Opens an installation that exists.
    async fn open(&self) -> Result<(Config, Place), ServerError> {
        let config = self.existing()?;
        let place = Place::open(&config).await?;
        Ok((config, place))
    }
}

/// Runs the program; the exit code is 0 when everything asked for was done.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mingying: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(dispatch(cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mingying: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode, ServerError> {
    match cli.command {
        Command::Serve(args) => serve::serve(&cli.place, args).await,
        Command::Migrate => {
            let config = cli.place.config()?;
            let place = Place::open(&config).await?;
            let applied = place.db.migrate().await?;
            for name in &applied {
                println!("applied {name}");
            }
            // So that accounts can be made before the first start.
            place.prepare(&config).await?;
            println!("the schema is up to date");
            place.db.close().await;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor => doctor::doctor(&cli.place).await,
        Command::User(command) => users::run(&cli.place, command).await,
        Command::Peer(command) => peers::run(&cli.place, command).await,
        Command::Import(args) => images::import(&cli.place, args).await,
        Command::Export(args) => images::export(&cli.place, args).await,
        Command::Verify => images::verify(&cli.place).await,
        Command::Backup(args) => images::backup(&cli.place, args).await,
        Command::Restore(args) => images::restore(&cli.place, args).await,
        Command::Key(command) => keys::run(&command),
        Command::Openapi => {
            let text = mingying_http::document().to_pretty_json();
            println!("{}", text.map_err(|error| ServerError::Said(error.to_string()))?);
            Ok(ExitCode::SUCCESS)
        }
    }
}
