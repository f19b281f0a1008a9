//! `mingying doctor`: looks at everything an installation depends on, and says what to do.

use super::PlaceArgs;
use crate::encryption::needed;
use crate::{Config, Place, ServerError};
use jiff::SignedDuration;
use mingying_blob::Tier;
use mingying_db::Db;
use mingying_dimse::{ManagePeers, ReadPeers};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What was found, line by line.
#[derive(Default)]
struct Findings {
    bad: u32,
}

#[allow(clippy::unused_self, reason = "the three kinds of finding read alike where they are reported")]
impl Findings {
    fn good(&self, what: &str, detail: &str) {
        println!("ok    {what:<10} {detail}");
    }

    /// Works, but deserves attention.
    fn note(&self, what: &str, detail: &str) {
        println!("note  {what:<10} {detail}");
    }

    fn bad(&mut self, what: &str, detail: &str, advice: &str) {
        self.bad += 1;
        println!("BAD   {what:<10} {detail}\n      {:<10} -> {advice}", "");
    }
}

pub(super) async fn doctor(args: &PlaceArgs) -> Result<ExitCode, ServerError> {
    let mut findings = Findings::default();
    let config = match args.config() {
        Ok(config) => {
            findings.good("config", &format!("data folder {}", config.data_dir.display()));
            config
        }
        Err(error) => {
            findings.bad("config", &error.to_string(), "mend the named key; `mingying serve --help` lists them");
            return Ok(ExitCode::FAILURE);
        }
    };
    disk(&mut findings, &config);
    clock(&mut findings).await;
    tiers(&mut findings, &config).await;
    encryption(&mut findings, &config);
    fonts(&mut findings, &config).await;
    ports(&mut findings, &config).await;
    match args.open().await {
        Ok((_, place)) => {
            database(&mut findings, &place).await;
            images(&mut findings, &config, &place).await;
            nodes(&mut findings, &place).await;
            backup(&mut findings, &config, &place);
            peers(&mut findings, &config, &place).await;
            place.db.close().await;
        }
        Err(error) => findings.bad(
            "database",
            &error.to_string(),
            "start the server once with this data folder, or correct --data-dir or --database",
        ),
    }
    if findings.bad == 0 {
        println!("nothing to do");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("{} to mend", findings.bad);
        Ok(ExitCode::FAILURE)
    }
}

fn disk(findings: &mut Findings, config: &Config) {
    let dir = &config.data_dir;
    if !dir.exists() {
        findings.bad("disk", "the data folder does not exist", "start the server once, or correct --data-dir");
        return;
    }
    match rustix::fs::statvfs(dir) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{} MiB free", free >> 20);
            if free < config.images.disk_reserve.saturating_mul(2) {
                findings.bad("disk", &text, "make room or add a disk: images are refused below the reserve");
            } else {
                findings.good("disk", &text);
            }
        }
        Err(error) => findings.bad("disk", &error.to_string(), "check the mount and the folder's owner"),
    }
    match sync_time(dir) {
        Ok(took) if took > Duration::from_millis(100) => findings.note(
            "fsync",
            &format!("{} ms: each stored batch of images waits for this; a faster disk helps", took.as_millis()),
        ),
        Ok(took) => findings.good("fsync", &format!("{:.1} ms", took.as_secs_f64() * 1000.0)),
        Err(error) => {
            findings.bad("fsync", &error.to_string(), "the disk does not take writes: check it and its mount");
        }
    }
}

/// Whether the large disk and the bucket can be written and read.
async fn tiers(findings: &mut Findings, config: &Config) {
    let tiers = match config.images.tiers.open(&config.data_dir) {
        Ok(tiers) => tiers,
        Err(error) => {
            findings.bad("tiers", &error.to_string(), "mend the files that images.tiers.s3 names");
            return;
        }
    };
    for (tier, probed) in tiers.probe().await {
        let (what, advice) = match tier {
            Tier::Fast => continue,
            Tier::Large => ("large", "mount the disk, make the folder of images.tiers.large, check its owner"),
            Tier::Objects => ("s3", "check images.tiers.s3: endpoint, bucket, keys and their rights, certificate"),
        };
        match probed {
            Ok(()) => findings.good(what, "can be written and read"),
            Err(reason) => findings.bad(what, &reason, advice),
        }
    }
}

/// Whether every pack has its key, and the keys are kept as keys are.
fn encryption(findings: &mut Findings, config: &Config) {
    use std::os::unix::fs::MetadataExt as _;
    let wanted = &config.images.encryption;
    let keys = match wanted.keys() {
        Ok(keys) => keys,
        Err(error) => {
            let advice = "bring the file back from where its second copy is kept; the server does not start without it";
            findings.bad("key", &error.to_string(), advice);
            return;
        }
    };
    for file in wanted.files() {
        let shown = file.display();
        if std::fs::metadata(file).is_ok_and(|about| about.mode() & 0o077 != 0) {
            findings.bad("key", &format!("{shown} can be read by others"), "chmod 600, and see who could read it");
        }
        let beside = |folder: &Path| file.starts_with(folder);
        if beside(&config.data_dir) || config.backup.folder.as_deref().is_some_and(beside) {
            findings.note("key", &format!("{shown} lies beside what it locks: keep it on another disk"));
        }
    }
    let needed = match needed(config) {
        Ok(needed) => needed,
        Err(error) => {
            findings.bad("key", &error.to_string(), "name every tier that holds packs");
            return;
        }
    };
    for (key, packs) in needed {
        match key {
            Some(id) if !keys.has(id) => findings.bad(
                "key",
                &format!("[blob.locked] {packs} packs are encrypted with the key {id}, which is not configured"),
                "name its file as images.encryption.key_file or in older_key_files; without it they stay unreadable",
            ),
            Some(id) if keys.current() == Some(id) => {
                findings.good("key", &format!("{packs} packs are encrypted with the key {id}"));
            }
            Some(id) => findings.note("key", &format!("{packs} packs still need the older key {id}")),
            None if keys.current().is_some() => {
                findings.note("key", &format!("{packs} packs are not encrypted: of before, or the newest"));
            }
            None => {}
        }
    }
}

/// The median of a few synced writes.
fn sync_time(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join(".doctor");
    let mut times = Vec::new();
    let mut file = std::fs::File::create(&path)?;
    for _ in 0..5 {
        let begun = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    drop(file);
    std::fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times.get(2).copied().unwrap_or_default())
}

/// A clock far off breaks codes, appointments and signatures. Without a reference the build's time is the floor.
async fn clock(findings: &mut Findings) {
    use mingying_kernel::Clock as _;
    let now = mingying_kernel::SystemClock.now();
    let plausible =
        now.to_jiff().duration_since(jiff::Timestamp::UNIX_EPOCH) > SignedDuration::from_hours(24 * 365 * 56);
    let synchronised = rustix_synchronised();
    if !plausible {
        findings.bad("clock", &now.to_rfc3339(), "set the clock and run an NTP client (chrony, systemd-timesyncd)");
    } else if synchronised {
        findings.good("clock", &format!("{}, synchronised", now.to_rfc3339()));
    } else {
        findings.note(
            "clock",
            &format!("{}: no sign of NTP synchronisation; run chrony or systemd-timesyncd", now.to_rfc3339()),
        );
    }
}

/// systemd-timesyncd and chrony leave these traces.
fn rustix_synchronised() -> bool {
    ["/run/systemd/timesync/synchronized", "/run/chrony/chronyd.pid", "/var/run/chrony/chronyd.pid"]
        .iter()
        .any(|path| Path::new(path).exists())
}

async fn fonts(findings: &mut Findings, config: &Config) {
    let printer = mingying_print::Printer::new(config.font_dirs.iter().cloned());
    match printer.check().await {
        Ok(()) => findings.good("fonts", "Chinese can be printed"),
        Err(error) => findings.bad(
            "fonts",
            &error.to_string(),
            "install a CJK font (fonts-noto-cjk) or name its folder in font_dirs",
        ),
    }
}

/// A port is either free, or the running server's own.
async fn ports(findings: &mut Findings, config: &Config) {
    let wanted = [("http", Some(config.http)), ("dimse", config.dimse), ("hl7", config.hl7)];
    for (what, address) in wanted {
        let Some(address) = address else {
            findings.note(what, "off");
            continue;
        };
        match std::net::TcpListener::bind(address) {
            Ok(_) => findings.good(what, &format!("{address} is free: the server is not running")),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                if reachable(address).await {
                    findings.good(what, &format!("{address} answers"));
                } else {
                    findings.bad(what, &format!("{address} is taken and does not answer"), "stop what holds it");
                }
            }
            Err(error) => findings.bad(
                what,
                &format!("{address}: {error}"),
                "choose an address of this machine; ports below 1024 need the capability CAP_NET_BIND_SERVICE",
            ),
        }
    }
}

async fn reachable(address: SocketAddr) -> bool {
    let connect = tokio::net::TcpStream::connect(address);
    matches!(tokio::time::timeout(Duration::from_secs(2), connect).await, Ok(Ok(_)))
}

async fn database(findings: &mut Findings, place: &Place) {
    match place.db.applied_migrations().await {
        Ok(rows) => {
            let known = Db::known_migrations().len();
            if rows.len() < known {
                findings.bad(
                    "database",
                    &format!("{} of {known} migrations applied", rows.len()),
                    "run `mingying migrate`, or start the server",
                );
            } else {
                findings.good("database", &format!("{:?}, {known} migrations", place.db.engine()));
            }
        }
        Err(error) => {
            findings.bad("database", &error.to_string(), "run `mingying migrate`");
            return;
        }
    }
    match mingying_access::collation_is_c(&place.db).await {
        Ok(true) => {}
        Ok(false) => findings.bad(
            "collation",
            "the PostgreSQL database does not sort by code point",
            "make it with LC_COLLATE 'C': prefix searches miss rows otherwise",
        ),
        Err(error) => findings.note("collation", &error.to_string()),
    }
    let now = place.clock.now();
    match mingying_access::audit_lag(&place.db, now).await {
        Ok(lag) if lag.lag > Duration::from_mins(1) => findings.note(
            "audit",
            &format!(
                "{} rows unsealed for {} s; a running server seals within a second",
                lag.rows - lag.sealed,
                lag.lag.as_secs()
            ),
        ),
        Ok(lag) => findings.good("audit", &format!("{} rows, {} sealed", lag.rows, lag.sealed)),
        Err(error) => findings.bad("audit", &error.to_string(), "run `mingying migrate`"),
    }
    match mingying_access::verify_chain(&place.db).await {
        Ok(report) => match report.first_break {
            None => findings.good("chain", "intact"),
            Some(found) => findings.bad(
                "chain",
                &format!("broken: {found:?}"),
                "somebody changed the audit log outside Mingying: keep the database as it is and inform the security officer",
            ),
        },
        Err(error) => findings.bad("chain", &error.to_string(), "run `mingying migrate`"),
    }
}

/// What the background check has found.
async fn images(findings: &mut Findings, config: &Config, place: &Place) {
    match mingying_archive::damage_waiting(&place.db).await {
        Ok(0) => findings.good("images", "no damage is known"),
        Ok(waiting) => findings.bad(
            "images",
            &format!("{waiting} damaged places in the packs wait for a sound copy"),
            "name a backup folder in images.replicas and run `mingying verify`; check the disk",
        ),
        Err(error) => findings.bad("images", &error.to_string(), "run `mingying migrate`"),
    }
    for replica in config.images.replicas.iter().filter(|replica| !replica.is_dir()) {
        findings.note("replica", &format!("{} is not there", replica.display()));
    }
}

/// Whether images wait for a node that is not there.
async fn nodes(findings: &mut Findings, place: &Place) {
    match mingying_archive::silent_nodes(&place.db, place.clock.now()).await {
        Ok(nodes) => {
            for (name, silent) in &nodes {
                if *silent {
                    findings.bad(
                        "node",
                        &format!("{name} shows no life and holds images"),
                        "start it, or make its data folder reachable for another node: see docs/operations.md, nodes",
                    );
                } else if nodes.len() > 1 {
                    findings.good("node", name);
                }
            }
        }
        Err(error) => findings.bad("nodes", &error.to_string(), "run `mingying migrate`"),
    }
}

/// Whether the backups are made that the configuration asks for.
fn backup(findings: &mut Findings, config: &Config, place: &Place) {
    let Some(folder) = &config.backup.folder else {
        findings.note("backup", "none is made by itself: name backup.folder in the configuration");
        return;
    };
    let late = Duration::from_secs(config.backup.every_minutes.saturating_mul(120));
    match mingying_archive::newest_state(folder) {
        Some(made) if place.clock.now().since(made) <= late => findings.good("backup", &made.to_rfc3339()),
        Some(made) => findings.bad(
            "backup",
            &format!("the newest is of {}", made.to_rfc3339()),
            "see the log for why; is the folder there, writable and not full?",
        ),
        None => findings.bad(
            "backup",
            &format!("none in {}", folder.display()),
            "a running server makes one at once; see its log",
        ),
    }
}

async fn peers(findings: &mut Findings, config: &Config, place: &Place) {
    let ctx = place.operator();
    let (Ok(read), Ok(manage), Ok(title)) = (ctx.permit::<ReadPeers>(), ctx.permit::<ManagePeers>(), config.title())
    else {
        return;
    };
    let peers = match mingying_dimse::list_peers(&place.db, &read).await {
        Ok(peers) => peers,
        Err(error) => {
            findings.bad("peers", &error.to_string(), "run `mingying migrate`");
            return;
        }
    };
    for peer in peers {
        let aet = peer.aet.as_str();
        match mingying_dimse::echo_peer(&place.db, &manage, &title, aet, Duration::from_secs(5)).await {
            Ok(echo) if echo.ok => findings.good("peer", &format!("{aet} answers in {} ms", echo.ms)),
            Ok(echo) => findings.bad(
                "peer",
                &format!("{aet} at {}:{}: {}", peer.host, peer.port, echo.error.unwrap_or_default()),
                "check that it runs, its address, and that it knows our title and address",
            ),
            Err(error) => findings.bad("peer", &format!("{aet}: {error}"), "check its entry"),
        }
    }
}
