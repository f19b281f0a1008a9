//! Room for siblings: their packs, opened, dropped as a whole, given back.

use super::SiblingSettings;
use crate::nodes::{Kind as StoreKind, Nodes};
use crate::store;
use crate::{Archive, ArchiveError};
use mingying_blob::{BlobError, Blobs, Keys, Location, store_of};
use mingying_db::Db;
use mingying_kernel::Timestamp;
use std::path::Path;

/// A pack holds at most this share of the store, so that making room costs no more.
const SHARE: u64 = 16;
const LARGEST_PACK: u64 = 1 << 30;
/// A pack with less than one in so many bytes alive goes.
const ALIVE: u64 = 2;

/// Opens the packs and brings rows and packs in line. What is not encrypted and now would be, and what cannot be read any
/// more, goes: it is made again.
pub(super) async fn open_store(
    db: &Db,
    dir: &Path,
    settings: &SiblingSettings,
    keys: &Keys,
    nodes: Option<&Nodes>,
) -> Result<Blobs, ArchiveError> {
    let wanted = |store: &Blobs| keys.current().is_none() || store.homes().iter().all(|pack| pack.key.is_some());
    let store = match packs_in(dir, settings, keys) {
        Ok(store) if wanted(&store) => store,
        Ok(_) | Err(BlobError::Locked(_)) => {
            tracing::info!("siblings under another key, or none, are dropped");
            clear_store(db, dir).await?;
            packs_in(dir, settings, keys)?
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(nodes) = nodes {
        nodes.claim(StoreKind::Siblings, store.store(), dir).await?;
    }
    // Those of other nodes are theirs; those that no node has any more are made again.
    let others = nodes.map(|nodes| nodes.stores(StoreKind::Siblings)).unwrap_or_default();
    let mut newest = None;
    for row in store::sibling_packs(db).await? {
        if store_of(row.pack) != store.store() && others.contains(&store_of(row.pack)) {
            continue;
        }
        if !store.packs().iter().any(|pack| pack.id == row.pack) {
            store::drop_sibling_pack(db, row.pack).await?;
        } else if newest.is_none_or(|(pack, _)| pack < row.pack) {
            newest = Some((row.pack, row.payload_end));
        }
    }
    if let Some((pack, payload_end)) = newest {
        // What lies behind has no row.
        store.resume(pack, Location { pack, record: 0, at: payload_end, len: 0 }.record_end()).await?;
    }
    Ok(store)
}

/// Removes all of them.
pub(super) async fn clear_store(db: &Db, dir: &Path) -> Result<(), ArchiveError> {
    for pack in mingying_blob::pack_ids(dir)? {
        store::drop_sibling_pack(db, pack).await?;
    }
    Ok(std::fs::remove_dir_all(dir).map_err(BlobError::from)?)
}

fn packs_in(dir: &Path, settings: &SiblingSettings, keys: &Keys) -> Result<Blobs, BlobError> {
    let settings = mingying_blob::Settings {
        pack_size: (settings.max_bytes / SHARE).min(LARGEST_PACK),
        memory_per_blob: 4 << 20,
        memory: 32 << 20,
        reserve: settings.reserve,
        tiers: mingying_blob::Tiers::default(),
        keys: keys.clone(),
    };
    std::fs::create_dir_all(dir)?;
    Blobs::open(dir, settings)
}

impl Archive {
    /// Whether `bytes` for an original of that time may be added; packs whose originals are all older go for it.
    pub(super) async fn make_room(&self, bytes: u64, received_at: Timestamp) -> Result<bool, ArchiveError> {
        let siblings = self.siblings();
        let blobs = siblings.blobs.as_ref().ok_or(ArchiveError::Closed)?;
        loop {
            let packs = blobs.packs();
            let used: u64 = packs.iter().map(|pack| pack.len).sum();
            if used + bytes <= siblings.settings.max_bytes {
                return Ok(true);
            }
            // The newest pack is being written.
            let current = packs.last().map(|pack| pack.id);
            let rows = self.siblings().own_packs(self.db()).await?;
            let oldest = rows.iter().filter(|row| Some(row.pack) != current).min_by_key(|row| row.newest);
            let Some(oldest) = oldest.filter(|row| row.newest < received_at) else { return Ok(false) };
            self.drop_pack(oldest.pack).await?;
        }
    }

    async fn drop_pack(&self, pack: u64) -> Result<(), ArchiveError> {
        let Some(blobs) = &self.siblings().blobs else { return Ok(()) };
        store::drop_sibling_pack(self.db(), pack).await?;
        blobs.remove(pack).await?;
        tracing::info!(pack, "a pack of siblings was dropped");
        self.recount().await
    }

    /// Gives the oldest packs back where the disk runs low, before anything else has to be refused for it. To be called
    /// now and then, also while images arrive.
    pub async fn spare_siblings(&self) -> Result<(), ArchiveError> {
        let Some(blobs) = &self.siblings().blobs else { return Ok(()) };
        // Making stops earlier, so that what is made does not go again at once.
        while blobs.free_space()? < self.siblings().settings.reserve / 4 * 3 {
            let current = blobs.packs().last().map(|pack| pack.id);
            let rows = self.siblings().own_packs(self.db()).await?;
            let oldest = rows.iter().filter(|row| Some(row.pack) != current).min_by_key(|row| row.newest);
            let Some(oldest) = oldest else { return Ok(()) };
            self.drop_pack(oldest.pack).await?;
        }
        Ok(())
    }

    /// Packs that are mostly dead: their originals were deleted, or a crash left bytes without rows.
    pub(super) async fn drop_dead_packs(&self) -> Result<(), ArchiveError> {
        let Some(blobs) = &self.siblings().blobs else { return Ok(()) };
        let rows = self.siblings().own_packs(self.db()).await?;
        let living = |pack: u64| rows.iter().find(|row| row.pack == pack).map_or(0, |row| row.living);
        for pack in blobs.sealed().await? {
            if living(pack.id) < pack.len / ALIVE {
                self.drop_pack(pack.id).await?;
            }
        }
        self.recount().await
    }
}
