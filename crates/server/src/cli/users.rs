//! `mingying user`.

use super::PlaceArgs;
use crate::ServerError;
use clap::Subcommand;
use mingying_access::{ManageUsers, NewToken, NewUser, ReadUsers, UserChange};
use mingying_kernel::Role;
use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Make an account; the password is read from standard input
    Add {
        username: String,
        /// Shown in reports and timelines
        #[arg(long)]
        name: String,
        /// One or more of: admin registrar nurse tech trainee radiologist senior expert clinician qc engineer head security
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
    },
    /// Set an account's password; it is read from standard input
    Password { username: String },
    /// Take an account's second factor away, when the telephone is lost
    ResetFactor { username: String },
    /// Make a bearer token for a machine; it is shown once
    Token {
        /// Who the token's holder acts as: HIS, RIS-GATEWAY
        subject: String,
        /// machine or display
        #[arg(long, default_value = "machine")]
        role: String,
        /// Days after which it ends; never when absent
        #[arg(long)]
        days: Option<u64>,
    },
    /// End all tokens of a machine
    RevokeToken { subject: String },
    /// List accounts and tokens
    List,
}

/// From standard input, so that it stands in no process list and no shell history.
fn password() -> Result<String, ServerError> {
    if std::io::stdin().is_terminal() {
        eprintln!("password (visible while you type; or send it through a pipe):");
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(ServerError::file("standard input"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn role(text: &str) -> Result<Role, ServerError> {
    Role::parse(text).ok_or_else(|| ServerError::Said(format!("{text} is not a role")))
}

pub(super) async fn run(args: &PlaceArgs, command: UserCommand) -> Result<ExitCode, ServerError> {
    let (_, place) = args.open().await?;
    let access = &place.access;
    let ctx = place.operator();
    let manage = ctx.permit::<ManageUsers>()?;
    let read = ctx.permit::<ReadUsers>()?;
    match command {
        UserCommand::Add { username, name, roles } => {
            let roles = roles.iter().map(|text| role(text)).collect::<Result<Vec<_>, _>>()?;
            let new =
                NewUser { username, name, password: password()?, roles, demo: false, org: Some(place.home().await?) };
            let user = access.create_user(&manage, new).await?;
            println!("{} added", user.username);
        }
        UserCommand::Password { username } => {
            let user = access.find_user(&read, &username).await?;
            let change = UserChange { password: Some(password()?), ..UserChange::default() };
            access.change_user(&manage, user.id, change).await?;
            println!("password of {} set; its sessions ended", user.username);
        }
        UserCommand::ResetFactor { username } => {
            let user = access.find_user(&read, &username).await?;
            access.reset_factor(&manage, user.id).await?;
            println!("{} must enrol a second factor at the next sign-in", user.username);
        }
        UserCommand::Token { subject, role: text, days } => {
            let expires_at = days.map(|days| place.clock.now().plus(Duration::from_secs(days * 86_400)));
            let new = NewToken {
                name: subject.clone(),
                subject,
                role: role(&text)?,
                org: Some(place.home().await?),
                expires_at,
            };
            println!("{}", access.create_token(&manage, new).await?.token);
        }
        UserCommand::RevokeToken { subject } => {
            let ended = access.end_tokens(&manage, &subject).await?;
            println!("{ended} ended");
        }
        UserCommand::List => {
            for user in access.list_users(&read).await? {
                let roles: Vec<&str> = user.roles.iter().map(|role| role.as_str()).collect();
                let state = if user.active { "active" } else { "inactive" };
                let factor = if user.second_factor { "second factor" } else { "password only" };
                println!("{:<20} {:<9} {:<14} {}", user.username, state, factor, roles.join(","));
            }
            for token in access.list_tokens(&read).await? {
                let now = place.clock.now();
                let live = token.revoked_at.is_none() && token.expires_at.is_none_or(|end| end > now);
                let used = token.last_used_at.map_or_else(|| "never used".to_owned(), |at| at.to_rfc3339());
                println!(
                    "{:<20} {:<9} token {}, {}",
                    token.subject,
                    if live { "active" } else { "ended" },
                    token.role.as_str(),
                    used
                );
            }
        }
    }
    place.db.close().await;
    Ok(ExitCode::SUCCESS)
}
