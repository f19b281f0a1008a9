//! What every subcommand needs of an installation: the folder, its database, its key, its organization.

use crate::encryption::explained;
use crate::keep::SignedReports;
use crate::nodes::{self, Peers};
use crate::tls::write_private;
use crate::{Config, ServerError};
use mingying_access::{Access, Campus, Department, DepartmentKind, Org, SecretKey, Settings};
use mingying_archive::{Archive, Nodes, StoreKind};
use mingying_blob::Blobs;
use mingying_db::Db;
use mingying_kernel::{CampusId, Ctx, DepartmentId, OrgId, Scope, SharedClock, SystemClock};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// In the data folder: the key of sealed secrets.
pub(crate) const KEY_FILE: &str = "secret.key";

/// An installation, opened.
pub struct Place {
    pub db: Db,
    pub clock: SharedClock,
    pub access: Access,
    pub data_dir: PathBuf,
}

impl Place {
    /// Opens the database without migrating it; makes the folder and the key when they are missing.
    pub async fn open(config: &Config) -> Result<Self, ServerError> {
        let dir = &config.data_dir;
        std::fs::create_dir_all(dir).map_err(ServerError::file(dir))?;
        let key = secret_key(dir)?;
        let db = Db::open(&config.database).await?;
        let clock: SharedClock = Arc::new(SystemClock);
        let settings = Settings {
            require_second_factor: config.sign_in.require_second_factor,
            session_idle: Duration::from_secs(config.sign_in.idle_minutes.max(1) * 60),
            session_absolute: Duration::from_secs(config.sign_in.session_hours.max(1) * 3600),
            ..Settings::default()
        };
        let access = Access::new(db.clone(), clock.clone(), key, settings);
        Ok(Self { db, clock, access, data_dir: dir.clone() })
    }

    /// Migrates, and gives a new installation its organization. Whether it was new.
    pub async fn prepare(&self, config: &Config) -> Result<bool, ServerError> {
        let applied = self.db.migrate().await?;
        if !applied.is_empty() {
            tracing::info!(count = applied.len(), "migrations applied");
        }
        if mingying_access::org_tree(&self.db, Scope::All).await?.is_some() {
            return Ok(false);
        }
        if !config.demo {
            self.first_organization(config).await?;
        }
        Ok(true)
    }

    /// One organization with one campus and one imaging department: enough to begin, renamed later.
    async fn first_organization(&self, config: &Config) -> Result<(), ServerError> {
        let org = Org {
            id: OrgId::new(),
            name: config.organization.name.clone(),
            name_en: config.organization.name_en.clone(),
        };
        let campus = Campus {
            id: CampusId::new(),
            org: org.id,
            code: "MAIN".to_owned(),
            name: "主院区".to_owned(),
            name_en: "Main campus".to_owned(),
        };
        let department = Department {
            id: DepartmentId::new(),
            org: org.id,
            campus: campus.id,
            code: "RAD".to_owned(),
            name: "放射科".to_owned(),
            name_en: "Radiology".to_owned(),
            kind: DepartmentKind::Imaging,
        };
        let mut tx = self.db.begin().await?;
        mingying_access::put_org(&mut tx, &org).await?;
        mingying_access::put_campus(&mut tx, &campus).await?;
        mingying_access::put_department(&mut tx, &department).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The organization that owns what nobody else claims.
    pub async fn home(&self) -> Result<OrgId, ServerError> {
        let tree = mingying_access::org_tree(&self.db, Scope::All).await?;
        tree.map(|tree| tree.org.id)
            .ok_or_else(|| ServerError::Said("this installation is not set up: run `mingying serve` once".to_owned()))
    }

    /// How the store of blobs is to behave.
    pub(crate) fn blob_settings(config: &Config) -> Result<mingying_blob::Settings, ServerError> {
        let tiers = config.images.tiers.open(&config.data_dir)?;
        let keys = config.images.encryption.keys()?;
        Ok(mingying_blob::Settings { reserve: config.images.disk_reserve, tiers, keys, ..Default::default() })
    }

    fn blobs(&self, config: &Config) -> Result<Blobs, ServerError> {
        Blobs::open(&blobs_folder(&self.data_dir, 1), Self::blob_settings(config)?).map_err(explained)
    }

    /// The store that this node writes. One that another node has taken over is never written again; then the next
    /// folder begins a new one.
    async fn own_blobs(&self, config: &Config, nodes: &Arc<Nodes>) -> Result<Blobs, ServerError> {
        for number in 1_u32.. {
            let dir = blobs_folder(&self.data_dir, number);
            let blobs = Blobs::open(&dir, Self::blob_settings(config)?).map_err(explained)?;
            if nodes.claim(StoreKind::Originals, blobs.store(), &dir).await? {
                blobs.connect(Peers::neighbours(nodes.clone(), &self.data_dir)?);
                return Ok(blobs);
            }
            tracing::warn!(folder = %dir.display(), "another node has taken this store over");
        }
        Err(ServerError::Said("no folder of packs is left".to_owned()))
    }

    /// Makes the archive's tables again from the packs. What belongs to an organization that this database does not
    /// know goes to its own: the one of a lost database had another id.
    pub async fn rebuild_index(&self, config: &Config) -> Result<mingying_archive::Replayed, ServerError> {
        let home = self.organization(config).await?;
        let fallback = mingying_archive::Settings::new(home).owner;
        let ctx = self.operator();
        let blobs = self.blobs(config)?;
        let adopted = blobs.adopt().await.map_err(explained)?;
        if adopted > 0 {
            tracing::info!(adopted, "packs found on the large disk and in the bucket");
        }
        Ok(mingying_archive::rebuild(&self.db, &blobs, &ctx, &[home], &fallback).await?)
    }

    /// Whose installation this is. A demonstration's organization has a fixed id and may not exist yet.
    pub async fn organization(&self, config: &Config) -> Result<OrgId, ServerError> {
        if config.demo { Ok(crate::demo::ORG) } else { self.home().await }
    }

    /// Opens the image archive and replays what its packs hold beyond the database, as the node of this data folder.
    /// `listens`: where other nodes reach it; `None` for a subcommand.
    pub async fn archive(
        &self,
        config: &Config,
        listens: Option<SocketAddr>,
    ) -> Result<(Archive, Arc<Nodes>), ServerError> {
        let me = nodes::myself(config, listens)?;
        let nodes = Arc::new(Nodes::join(self.db.clone(), self.clock.clone(), me).await?);
        let blobs = self.own_blobs(config, &nodes).await?;
        let mut settings = mingying_archive::Settings::new(self.organization(config).await?);
        settings.max_object = config.images.largest_object;
        let days = |days: u64| Duration::from_secs(days.saturating_mul(24 * 3600));
        settings.house.replicas.clone_from(&config.images.replicas);
        settings.house.rate = config.images.check_rate;
        settings.house.scrub_every = days(config.images.check_every_days);
        settings.house.keep_deleted = days(config.images.keep_deleted_days);
        settings.house.reencrypt = config.images.encryption.reencrypt;
        settings.retention.years = config.images.retention_years;
        settings.retention.evidence = Some(Arc::new(SignedReports { db: self.db.clone() }));
        settings.warning = config.images.disk_warning.max(config.images.disk_reserve);
        settings.org_bytes.clone_from(&config.images.organization_bytes);
        settings.tiering = config.images.tiers.rule();
        settings.derived = (config.images.derived_size > 0).then(|| self.data_dir.join("derived"));
        settings.max_derived = config.images.derived_size;
        settings.siblings = Some(self.data_dir.join("siblings"));
        settings.sibling = mingying_archive::SiblingSettings {
            max_bytes: config.images.sibling_size,
            threads: config.images.sibling_threads,
            settled: Duration::from_secs(config.images.sibling_after),
            // They go before an original has to be refused.
            reserve: config.images.disk_reserve.saturating_mul(4),
        };
        settings.nodes = Some(nodes.clone());
        let archive = Archive::open(self.db.clone(), blobs, self.clock.clone(), settings).await?;
        archive.connect(Peers::neighbours(nodes.clone(), &self.data_dir)?);
        if let Err(error) = archive.take_over().await {
            tracing::warn!(%error, "what was taken over from other nodes is not served yet");
        }
        Ok((archive, nodes))
    }

    /// Whether the demonstration data is what this installation holds.
    pub async fn is_demo(&self) -> Result<bool, ServerError> {
        Ok(mingying_access::has_demo_users(&self.db).await?)
    }

    /// The command line acts as Mingying itself: whoever can read the data folder owns the installation.
    pub fn operator(&self) -> Ctx {
        self.access.system("command-line")
    }
}

/// Where packs are written: the first of these folders that no other node has taken over.
pub(crate) fn blobs_folder(data_dir: &Path, number: u32) -> PathBuf {
    data_dir.join(if number == 1 { "blobs".to_owned() } else { format!("blobs-{number}") })
}

/// The key of sealed secrets, made at the first start. Losing it costs the second factors, nothing else.
fn secret_key(dir: &Path) -> Result<SecretKey, ServerError> {
    let path = dir.join(KEY_FILE);
    if !path.exists() {
        write_private(&path, &SecretKey::random_bytes())?;
    }
    let bytes = std::fs::read(&path).map_err(ServerError::file(&path))?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| ServerError::Config {
        name: KEY_FILE,
        reason: "must hold 32 bytes; restore it from the backup".to_owned(),
    })?;
    Ok(SecretKey::from_bytes(&bytes)?)
}
