//! What several nodes need of a store: packs shared through the object store, stores taken over, and the stores of
//! others.

use crate::far::{Far, Neighbours};
use crate::homes::{self, Home, Tier};
use crate::moving::Copying;
use crate::objects::{Failed, PART};
use crate::packs::{Packs, lock, store_of};
use crate::{BlobError, Blobs, Settings, blocking};
use bytes::Bytes;
use mingying_kernel::Timestamp;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

/// Most that another node gets at once.
const AT_ONCE: u64 = 8 << 20;

/// The stores beside the one that is written here.
pub(crate) struct Others {
    settings: Settings,
    adopted: RwLock<BTreeMap<u32, Arc<Packs>>>,
    far: OnceLock<Arc<Packs>>,
    /// The one that is written.
    main: Weak<Packs>,
}

impl Others {
    pub fn new(settings: Settings, main: &Arc<Packs>) -> Self {
        Self { settings, adopted: RwLock::default(), far: OnceLock::new(), main: Arc::downgrade(main) }
    }
}

impl Blobs {
    /// The upper half of the ids of the packs that are written here.
    pub fn store(&self) -> u32 {
        self.packs.store
    }

    /// The newest pack of the store that is written here.
    pub fn newest(&self) -> Option<u64> {
        lock(&self.packs.homes).keys().next_back().copied()
    }

    /// The stores that were taken over.
    pub fn adopted_stores(&self) -> Vec<u32> {
        self.others.adopted.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Where a pack is looked for.
    pub(crate) fn of(&self, pack: u64) -> Arc<Packs> {
        let store = store_of(pack);
        if store == self.packs.store {
            return self.packs.clone();
        }
        if let Some(main) = self.others.main.upgrade().filter(|main| main.store == store) {
            return main;
        }
        let adopted = self.others.adopted.read().unwrap_or_else(PoisonError::into_inner).get(&store).cloned();
        adopted.or_else(|| self.others.far.get().cloned()).unwrap_or_else(|| self.packs.clone())
    }

    /// Every store that belongs to this node.
    pub(crate) fn all(&self) -> Vec<Arc<Packs>> {
        let adopted = self.others.adopted.read().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(&self.packs).chain(adopted.values()).cloned().collect()
    }

    /// Whether a pack lies on the fast disk here, or nowhere.
    pub fn is_near(&self, pack: u64) -> bool {
        let packs = self.of(pack);
        packs.far.is_none() && packs.home(pack).is_none_or(|home| home.tier == Tier::Fast)
    }

    /// From now on packs of other stores are read from the nodes that hold them. Once; on a Tokio runtime.
    pub fn connect(&self, neighbours: Arc<dyn Neighbours>) {
        if let Some(objects) = &self.packs.objects {
            let _ = objects.kin.set(neighbours.clone());
        }
        let far = Arc::new(Far::new(neighbours, self.packs.objects.clone()));
        let _ = self.others.far.set(Arc::new(self.packs.of_others(far, &self.others.settings)));
    }

    /// Another node's store in `dir`, for reading: what is written there no more. It becomes part of this one by
    /// `attach`. `NotFound` when no pack of the store is there, `Locked` when a pack's key is not given.
    pub fn open_store(&self, dir: &Path, store: u32) -> Result<Self, BlobError> {
        let objects = self.packs.objects.clone();
        let packs = Packs::adopt(self.packs.disk.clone(), &dir.join("packs"), store, &self.others.settings, objects)?;
        if lock(&packs.homes).is_empty() {
            return Err(BlobError::NotFound);
        }
        Ok(Self { packs: Arc::new(packs), ..self.clone() })
    }

    /// Takes a store that `open_store` opened, from end to end replayed, as one of this node's.
    pub fn attach(&self, opened: &Self) {
        let mut adopted = self.others.adopted.write().unwrap_or_else(PoisonError::into_inner);
        adopted.insert(opened.packs.store, opened.packs.clone());
    }

    /// Bytes of a pack as they lie on a disk of this node, for another node, which checks them; fewer at the pack's end
    /// or when much is asked for. `NotFound` when no store here has it, `Unavailable` when it lies in the object store.
    pub async fn raw(&self, pack: u64, range: Range<u64>) -> Result<Bytes, BlobError> {
        let packs = self.of(pack);
        let home = packs.home(pack).filter(|_| packs.far.is_none()).ok_or(BlobError::NotFound)?;
        if home.tier == Tier::Objects {
            return Err(BlobError::Unavailable);
        }
        let to = range.end.min(range.start.saturating_add(AT_ONCE)).min(home.len);
        let len = to.saturating_sub(range.start) as usize;
        blocking(move || Ok(Bytes::from(packs.file(pack)?.read_some(range.start, len)?))).await
    }

    /// Ends the pack that is written when it is older than `begun_before` and holds anything. Whether it did.
    pub async fn seal(&self, begun_before: Timestamp, now: Timestamp) -> Result<bool, BlobError> {
        let packs = self.packs.clone();
        blocking(move || packs.seal(begun_before.as_micros(), now.as_micros())).await
    }

    /// Puts a copy of a sealed pack into the object store, where other nodes find it; the pack stays where it is. How
    /// many bytes it has. `pace` as for `move_pack`.
    pub async fn share_pack<F: Future<Output = ()>>(
        &self,
        pack: u64,
        pace: impl Fn(u64) -> F,
    ) -> Result<u64, BlobError> {
        let packs = self.of(pack);
        let home = packs.movable(pack, Tier::Objects)?;
        let (Copying::Objects(mut upload), copy) = packs.clone().begin_copy(pack, Tier::Objects, home).await? else {
            return Err(BlobError::Misplaced("no object store is configured"));
        };
        let mut sha = Sha256::new();
        let mut at = 0;
        while at < home.len {
            let (part, hashed) = packs.clone().part(pack, at, (home.len - at).min(PART), sha).await?;
            sha = hashed;
            let len = part.len() as u64;
            upload.write(part).await?;
            at += len;
            pace(len).await;
        }
        upload.finish().await?;
        let sha256: [u8; 32] = sha.finalize().into();
        if packs.read_back(pack, home.len, &pace).await? != sha256 {
            tracing::error!(pack, "the copy of a pack in the object store is not what was written");
            return Err(BlobError::Corrupt("copy of a pack"));
        }
        let copy = Home { sha256: Some(sha256), shared: false, ..copy };
        let here = packs.clone();
        blocking(move || here.note_copy(pack, copy)).await?;
        Ok(home.len)
    }
}

impl Packs {
    /// From here on a copy of the pack lies in the object store.
    fn note_copy(&self, pack: u64, copy: Home) -> Result<(), BlobError> {
        homes::write_note(&*self.disk, &self.dir, pack, Tier::Objects, &copy.note())?;
        match lock(&self.homes).get_mut(&pack) {
            Some(home) if home.len == copy.len => (home.shared, home.sha256) = (true, copy.sha256),
            // Removed meanwhile: its object goes with the next sweep.
            _ => {
                homes::mark_gone(&*self.disk, &self.dir, pack)?;
                lock(&self.gone).insert(pack);
            }
        }
        Ok(())
    }

    /// Whether the object store still has the copy of a shared pack. `Unavailable` when that cannot be told.
    pub(crate) async fn holds_copy(&self, pack: u64, home: Home) -> Result<bool, BlobError> {
        let Some(objects) = &self.objects else { return Ok(false) };
        match objects.len_of(pack).await {
            Ok(len) => Ok(len == home.len),
            Err(Failed::Absent) => Ok(false),
            Err(Failed::Unreachable) => Err(BlobError::Unavailable),
        }
    }
}
