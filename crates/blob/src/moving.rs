//! Packs move to slower tiers, and go.
//!
//! A move copies what counts of a pack, reads the copy back and compares its SHA-256, notes durably where the pack lies,
//! and only then removes the original. It may be dropped or cut off at any step: what is begun anew finds the original
//! where it was. Who reads the pack meanwhile reads on.

use crate::crypt::KeyId;
use crate::disk::{Disk as _, DiskFile, LocalDisk};
use crate::homes::{self, Home, PackNote, Tier, erase, pack_name};
use crate::objects::{Failed, Objects, PART, Upload, owner};
use crate::packs::{Packs, lock};
use crate::recall::RecallStats;
use crate::record::{PACK_HEADER, key_of, made_at, read_pack_header};
use crate::{BlobError, Blobs, Tiers, blocking};
use bytes::Bytes;
use mingying_kernel::Timestamp;
use sha2::{Digest as _, Sha256};
use std::io::IoSlice;
use std::sync::Arc;

/// In the folder of the large disk: says that it is mounted, and whose packs it holds.
const MARKER: &str = "mingying-store";

/// A pack and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackHome {
    pub id: u64,
    pub len: u64,
    pub tier: Tier,
    /// When the next pack was begun; `None` for the one that is written.
    pub sealed_at: Option<Timestamp>,
    /// It lies on a local disk, and a copy of it in the object store.
    pub shared: bool,
    /// The master key that it is encrypted with.
    pub key: Option<KeyId>,
}

/// Where a copy is being written.
pub(crate) enum Copying {
    Large(Arc<dyn DiskFile>),
    Objects(Upload),
}

impl Blobs {
    /// All packs, oldest first, with the tier of each.
    pub fn homes(&self) -> Vec<PackHome> {
        let mut all: Vec<PackHome> = Vec::new();
        for packs in self.all() {
            let homes = lock(&packs.homes);
            let begun = |home: &Home| Some(Timestamp::from_micros(home.made_at));
            let last = homes.values().next_back().filter(|_| packs.closed).and_then(begun);
            let sealed_at = homes.values().skip(1).map(begun).chain(std::iter::once(last));
            all.extend(homes.iter().zip(sealed_at).map(|((id, home), sealed_at)| {
                let Home { len, tier, shared, key, .. } = *home;
                PackHome { id: *id, len, tier, sealed_at, shared, key }
            }));
        }
        all.sort_by_key(|pack| pack.id);
        all
    }

    /// Whether packs can lie on this tier.
    pub fn has_tier(&self, tier: Tier) -> bool {
        match tier {
            Tier::Fast => true,
            Tier::Large => self.packs.large.is_some(),
            Tier::Objects => self.packs.objects.is_some(),
        }
    }

    /// As `free_space`, of the large disk; `None` when there is none or it cannot be read.
    pub fn free_space_large(&self) -> Option<u64> {
        let large = self.packs.large.as_ref()?;
        self.packs.disk.free_space(large).ok()
    }

    pub fn recall_stats(&self) -> RecallStats {
        self.packs.objects.as_ref().map(|objects| objects.recall.stats()).unwrap_or_default()
    }

    /// Moves a sealed pack to a slower tier; how many bytes it has. `pace` is called with how many bytes were just read
    /// or written. `Misplaced` when the pack is not sealed, not on a faster tier, or the tier not there or another
    /// installation's; `Corrupt` when the copy is not what was read.
    pub async fn move_pack<F: Future<Output = ()>>(
        &self,
        pack: u64,
        to: Tier,
        pace: impl Fn(u64) -> F,
    ) -> Result<u64, BlobError> {
        let packs = &self.of(pack);
        let home = packs.movable(pack, to)?;
        if to == Tier::Objects && home.shared && packs.holds_copy(pack, home).await? {
            let (here, moved) = (packs.clone(), Home { tier: to, shared: false, ..home });
            blocking(move || here.switch(pack, home, moved)).await?;
            return Ok(home.len);
        }
        let (mut copy, moved) = packs.clone().begin_copy(pack, to, home).await?;
        let mut sha = Sha256::new();
        let mut at = 0;
        while at < home.len {
            let (part, hashed) = packs.clone().part(pack, at, (home.len - at).min(PART), sha).await?;
            sha = hashed;
            let len = part.len() as u64;
            match &mut copy {
                Copying::Large(file) => {
                    let file = file.clone();
                    blocking(move || Ok(file.write_at(&[IoSlice::new(&part)], at)?)).await?;
                }
                Copying::Objects(upload) => upload.write(part).await?,
            }
            at += len;
            pace(len).await;
        }
        let sha256: [u8; 32] = sha.finalize().into();
        let read_back = match copy {
            Copying::Large(file) => packs.clone().finish_large(file, home.len, &pace).await?,
            Copying::Objects(upload) => {
                upload.finish().await?;
                packs.read_back(pack, home.len, &pace).await?
            }
        };
        if read_back != sha256 {
            tracing::error!(
                pack,
                tier = to.as_str(),
                "the copy of a pack is not what was written; it stays where it was"
            );
            return Err(BlobError::Corrupt("copy of a pack"));
        }
        let (here, moved) = (packs.clone(), Home { sha256: Some(sha256), ..moved });
        let switched = blocking(move || here.switch(pack, home, moved)).await;
        if let (Err(BlobError::NotFound), Tier::Objects, Some(objects)) = (&switched, to, &packs.objects) {
            let _ = objects.delete(pack).await;
        }
        switched.map(|()| home.len)
    }

    /// Removes a sealed pack for good. Removing one that is gone is no error. Its object goes when the object store can be
    /// reached: now or by `sweep`.
    pub async fn remove(&self, pack: u64) -> Result<(), BlobError> {
        let packs = self.of(pack);
        if blocking(move || packs.forget(pack)).await? {
            self.sweep().await?;
        }
        Ok(())
    }

    /// Removes objects of packs that were removed while the object store was out of reach.
    pub async fn sweep(&self) -> Result<(), BlobError> {
        let Some(objects) = self.packs.objects.clone() else { return Ok(()) };
        let gone: Vec<u64> = self.all().iter().flat_map(|packs| lock(&packs.gone).clone()).collect();
        for pack in gone {
            if objects.delete(pack).await.is_err() {
                tracing::warn!(pack, "the object of a removed pack stays for now");
                return Ok(());
            }
            let packs = self.of(pack);
            blocking(move || {
                homes::forget_gone(&*packs.disk, &packs.dir, pack)?;
                lock(&packs.gone).remove(&pack);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Whether a pack is where it should be. `Unavailable` when that cannot be told.
    pub async fn is_there(&self, pack: u64) -> Result<bool, BlobError> {
        Ok(self.len_there(pack).await?.is_some())
    }

    /// How many bytes of a pack are where it should be; `None` when it is not there. `Unavailable` when that cannot be
    /// told.
    pub async fn len_there(&self, pack: u64) -> Result<Option<u64>, BlobError> {
        let packs = self.of(pack);
        let home = packs.home(pack).ok_or(BlobError::NotFound)?;
        if let (Tier::Objects, Some(objects)) = (home.tier, &packs.objects) {
            return match objects.len_of(pack).await {
                Ok(len) => Ok(Some(len)),
                Err(Failed::Absent) => Ok(None),
                Err(Failed::Unreachable) => Err(BlobError::Unavailable),
            };
        }
        blocking(move || match packs.file(pack) {
            Err(BlobError::Unavailable) if packs.large_is_mounted(pack)? => Ok(None),
            file => Ok(Some(file?.size()?)),
        })
        .await
    }

    /// What is noted of a pack in the object store; `None` when it lies elsewhere.
    pub fn in_objects(&self, pack: u64) -> Option<PackNote> {
        self.of(pack).home(pack).filter(|home| home.tier == Tier::Objects).map(|home| home.note())
    }

    /// Takes up packs of this store on the slower tiers that no note knows: the fast disk was lost. How many. Only on
    /// demand: a folder or bucket that was named by mistake may hold the packs of another.
    pub async fn adopt(&self) -> Result<usize, BlobError> {
        let mut found = Vec::new();
        if let Some(large) = self.packs.large.clone() {
            let packs = self.packs.clone();
            let looked = blocking(move || {
                let mut homes = Vec::new();
                for pack in homes::packs_in(&*packs.disk, &large)? {
                    homes.extend(homes::look(&*packs.disk, &large, pack, Tier::Large)?.map(|home| (pack, home)));
                }
                Ok(homes)
            });
            found.extend(looked.await?);
        }
        if let Some(objects) = &self.packs.objects {
            for (pack, len) in objects.list().await?.into_iter().filter(|(_, len)| *len >= PACK_HEADER) {
                if self.packs.home(pack).is_some() {
                    continue;
                }
                let header = objects.read_back(pack, 0..PACK_HEADER).await?;
                let (tier, made_at) = (Tier::Objects, made_at(&header));
                let (before, key) =
                    read_pack_header(&header, pack).map_or((None, None), |before| (before, key_of(&header)));
                found.push((pack, Home { tier, len, made_at, before, sha256: None, shared: false, key }));
            }
        }
        let known = lock(&self.packs.homes).keys().next().copied();
        let Some(store) = known.or(found.first().map(|(pack, _)| *pack)).map(owner) else { return Ok(0) };
        let packs = self.packs.clone();
        blocking(move || {
            let mut adopted = 0;
            for (pack, home) in found {
                let ours = owner(pack) == store && packs.home(pack).is_none() && !lock(&packs.gone).contains(&pack);
                if ours {
                    packs.unlocked(&home)?;
                    homes::write_note(&*packs.disk, &packs.dir, pack, home.tier, &home.note())?;
                    lock(&packs.homes).insert(pack, home);
                    adopted += 1;
                }
            }
            Ok(adopted)
        })
        .await
    }
}

impl Tiers {
    /// Writes, reads and removes something small on each slower tier: the tier, and what is wrong with it. For an
    /// installation's own check, without an open store.
    pub async fn probe(&self) -> Vec<(Tier, Result<(), String>)> {
        let mut probed = Vec::new();
        if let Some(large) = self.large.clone() {
            let tried = blocking(move || {
                let path = large.join(".doctor");
                erase(&LocalDisk, &path)?;
                let file = LocalDisk.create(&path)?;
                file.write_at(&[IoSlice::new(&[7; 512])], 0)?;
                file.sync_data()?;
                let read = file.read_some(0, 512)?;
                erase(&LocalDisk, &path)?;
                if read == [7; 512] { Ok(()) } else { Err(BlobError::Corrupt("what was just written")) }
            });
            let said = |error: BlobError| match &error {
                BlobError::Io(inner) => inner.to_string(),
                BlobError::NotFound => "the folder is not there".to_owned(),
                _ => error.to_string(),
            };
            probed.push((Tier::Large, tried.await.map_err(said)));
        }
        if let Some(bucket) = &self.objects {
            probed.push((Tier::Objects, bucket.probe().await));
        }
        probed
    }
}

impl Packs {
    /// The home of a pack that may move to a tier.
    pub(crate) fn movable(&self, pack: u64, to: Tier) -> Result<Home, BlobError> {
        let homes = lock(&self.homes);
        let home = homes.get(&pack).copied().ok_or(BlobError::NotFound)?;
        if !self.closed && homes.keys().next_back() == Some(&pack) {
            return Err(BlobError::Misplaced("the newest pack stays"));
        }
        if home.tier >= to {
            return Err(BlobError::Misplaced("a pack moves to slower tiers only"));
        }
        Ok(home)
    }

    pub(crate) async fn begin_copy(
        self: Arc<Self>,
        pack: u64,
        to: Tier,
        home: Home,
    ) -> Result<(Copying, Home), BlobError> {
        let moved = Home { tier: to, shared: home.shared && to != Tier::Objects, ..home };
        if to == Tier::Large {
            let file = blocking(move || self.create_large(pack)).await?;
            return Ok((Copying::Large(file), moved));
        }
        let objects = self.objects.clone().ok_or(BlobError::Misplaced("no object store is configured"))?;
        objects.claim(pack).await?;
        Ok((Copying::Objects(objects.upload(pack, home.len).await?), moved))
    }

    fn create_large(&self, pack: u64) -> Result<Arc<dyn DiskFile>, BlobError> {
        let large = self.large.as_ref().ok_or(BlobError::Misplaced("no large disk is configured"))?;
        if !self.large_is_mounted(pack)? {
            let first = lock(&self.homes).values().all(|home| home.tier != Tier::Large);
            if !first {
                return Err(BlobError::Unavailable);
            }
            self.disk.create_dir(large)?;
            erase(&*self.disk, &large.join(MARKER))?;
            let file = self.disk.create(&large.join(MARKER))?;
            file.write_at(&[IoSlice::new(owner(pack).as_bytes())], 0)?;
            file.sync_data()?;
            self.disk.sync_dir(large)?;
        }
        let path = large.join(pack_name(pack));
        // What an attempt before this one left.
        erase(&*self.disk, &path)?;
        Ok(self.disk.create(&path)?)
    }

    /// Whether the marker lies in the folder of the large disk. `Misplaced` when it is another installation's.
    fn large_is_mounted(&self, pack: u64) -> Result<bool, BlobError> {
        let Some(large) = &self.large else { return Ok(false) };
        let marker = match self.disk.open_to_read(&large.join(MARKER)) {
            Ok(file) => file.read_some(0, 64)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        // One that a power cut tore was never followed by a pack.
        let whole = marker.len() == owner(pack).len() && marker.iter().all(u8::is_ascii_hexdigit);
        if whole && marker != owner(pack).as_bytes() {
            return Err(BlobError::Misplaced("the large disk holds packs of another installation"));
        }
        Ok(whole)
    }

    /// The next bytes of a pack, also hashed.
    pub(crate) async fn part(
        self: Arc<Self>,
        pack: u64,
        at: u64,
        len: u64,
        mut sha: Sha256,
    ) -> Result<(Bytes, Sha256), BlobError> {
        blocking(move || {
            let part = self.file(pack)?.read_some(at, len as usize)?;
            if part.len() as u64 != len {
                return Err(BlobError::Corrupt("pack is shorter than its index says"));
            }
            sha.update(&part);
            Ok((Bytes::from(part), sha))
        })
        .await
    }

    /// Makes the copy on the large disk durable, and hashes what the disk holds.
    async fn finish_large<F: Future<Output = ()>>(
        self: Arc<Self>,
        file: Arc<dyn DiskFile>,
        len: u64,
        pace: &impl Fn(u64) -> F,
    ) -> Result<[u8; 32], BlobError> {
        let copy = file.clone();
        blocking(move || {
            copy.sync_data()?;
            if let Some(large) = &self.large {
                self.disk.sync_dir(large)?;
            }
            Ok(copy.forget_cached()?)
        })
        .await?;
        let mut sha = Sha256::new();
        let mut at = 0;
        while at < len {
            let (copy, want) = (file.clone(), (len - at).min(PART));
            let (read, hashed) = blocking(move || {
                let part = copy.read_some(at, want as usize)?;
                sha.update(&part);
                Ok((part.len() as u64, sha))
            })
            .await?;
            sha = hashed;
            if read != want {
                return Err(BlobError::Corrupt("copy of a pack"));
            }
            at += read;
            pace(read).await;
        }
        Ok(sha.finalize().into())
    }

    /// Hashes what the object store gives back.
    pub(crate) async fn read_back<F: Future<Output = ()>>(
        &self,
        pack: u64,
        len: u64,
        pace: &impl Fn(u64) -> F,
    ) -> Result<[u8; 32], BlobError> {
        let objects: &Arc<Objects> = self.objects.as_ref().ok_or(BlobError::Unavailable)?;
        if objects.len_of(pack).await? != len {
            return Err(BlobError::Corrupt("copy of a pack"));
        }
        let mut sha = Sha256::new();
        let mut at = 0;
        while at < len {
            let part = objects.read_back(pack, at..(at + PART / 4).min(len)).await?;
            at += part.len() as u64;
            let read = part.len() as u64;
            sha.update(&part);
            pace(read).await;
        }
        Ok(sha.finalize().into())
    }

    /// From here on the pack lies where it was copied to; the original goes. `NotFound` when it was removed meanwhile.
    fn switch(&self, pack: u64, from: Home, to: Home) -> Result<(), BlobError> {
        homes::write_note(&*self.disk, &self.dir, pack, to.tier, &to.note())?;
        let switched = {
            // Who looks for the file waits; who has the original open reads on.
            let mut open = lock(&self.open);
            let mut homes = lock(&self.homes);
            match homes.get_mut(&pack) {
                Some(home) if home.tier == from.tier => {
                    *home = to;
                    open.remove(&pack);
                    true
                }
                _ => false,
            }
        };
        if switched {
            return self.erase_at(pack, from.tier);
        }
        homes::erase_note(&*self.disk, &self.dir, pack, to.tier)?;
        Err(BlobError::NotFound)
    }

    /// Removes a pack's file from the fast or the large disk.
    fn erase_at(&self, pack: u64, tier: Tier) -> Result<(), BlobError> {
        match (tier, &self.large) {
            (Tier::Fast, _) => {
                erase(&*self.disk, &self.path(pack))?;
                Ok(self.disk.sync_dir(&self.dir)?)
            }
            (Tier::Large, Some(large)) => {
                erase(&*self.disk, &large.join(pack_name(pack)))?;
                self.disk.sync_dir(large)?;
                homes::erase_note(&*self.disk, &self.dir, pack, Tier::Large)?;
                Ok(self.disk.sync_dir(&self.dir)?)
            }
            _ => Ok(()),
        }
    }

    /// Takes a pack that is not the newest out of the store; whether an object of it is to be removed. Readers that have
    /// it open read on.
    fn forget(&self, pack: u64) -> Result<bool, BlobError> {
        let _writer = self.writing();
        let Some(home) = self.home(pack) else { return Ok(false) };
        if self.growing() == Some(pack) {
            return Err(BlobError::Corrupt("the newest pack stays"));
        }
        let in_objects = home.tier == Tier::Objects || home.shared;
        if in_objects {
            homes::mark_gone(&*self.disk, &self.dir, pack)?;
            lock(&self.gone).insert(pack);
        }
        lock(&self.homes).remove(&pack);
        self.passed(pack);
        if let Some(objects) = &self.objects {
            objects.recall.forget_pack(pack);
        }
        let erased = self.erase_at(pack, home.tier);
        // After the name, so that no reader opens it again meanwhile and keeps its bytes on the disk.
        lock(&self.open).remove(&pack);
        erased?;
        Ok(in_objects)
    }
}
