//! Where each pack lies: on the fast disk, where it was written, or on a slower tier, to which it was moved.
//!
//! A move leaves a note beside the packs of the fast disk, which is written and synced when the copy was compared and
//! before the original goes. So both may be there after a crash, and never neither: what lies on the fastest tier counts,
//! and a note says where a pack lies that is not on the fast disk. A note that a crash tore says nothing; the original is
//! still there then.

use crate::crypt::KeyId;
use crate::disk::{Disk, LocalDisk};
use crate::record::{Ended, PACK_HEADER, PackHeaderError, key_of, made_at, read_pack_header};
use crate::scan::readable;
use crate::{BlobError, Tiers};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

/// Where packs lie, the fastest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Where they are written.
    Fast,
    /// A folder on a larger disk.
    Large,
    /// An object store.
    Objects,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Fast, Self::Large, Self::Objects];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Large => "large",
            Self::Objects => "objects",
        }
    }
}

/// What is known of a pack without reading it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home {
    pub tier: Tier,
    /// Up to here its bytes count.
    pub len: u64,
    /// When it was begun, microseconds UTC.
    pub made_at: i64,
    /// What its header says of the pack before it.
    pub before: Option<Ended>,
    /// Of all its bytes, where it was moved or shared.
    pub sha256: Option<[u8; 32]>,
    /// It lies on a local disk, and a copy of it in the object store, where other nodes find it.
    pub shared: bool,
    /// The master key that it is encrypted with.
    pub key: Option<KeyId>,
}

impl Home {
    pub fn note(&self) -> PackNote {
        PackNote::of(self)
    }
}

/// What the fast disk keeps of a pack that was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackNote {
    pub v: u32,
    pub len: u64,
    /// When it was begun, microseconds UTC.
    pub made_at: i64,
    /// The pack before it and where that one ended.
    pub before: Option<(u64, u64)>,
    /// Of all its bytes, in hexadecimal; unknown when the note was made anew from the object store.
    pub sha256: Option<String>,
    /// Id of the master key that it is encrypted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl PackNote {
    /// The master key that it takes to read the pack, if any.
    pub fn key_id(&self) -> Option<KeyId> {
        self.key.as_deref().and_then(KeyId::parse)
    }

    fn of(home: &Home) -> Self {
        Self {
            v: 1,
            len: home.len,
            made_at: home.made_at,
            before: home.before.map(|before| (before.pack, before.at)),
            sha256: home.sha256.map(|sha256| hex(&sha256)),
            key: home.key.map(|key| key.to_string()),
        }
    }
}

/// The packs whose files lie in a store that is not open, in `dir`.
pub fn pack_ids(dir: &Path) -> Result<Vec<u64>, BlobError> {
    packs_in(&LocalDisk, &dir.join("packs"))
}

/// How many packs of a store that is not open, in `dir`, need which master key; `None`: they are not encrypted. Asks no
/// object store.
pub fn keys_needed(dir: &Path, tiers: &Tiers) -> Result<BTreeMap<Option<KeyId>, u64>, BlobError> {
    let mut needed = BTreeMap::new();
    let packs = dir.join("packs");
    if packs.exists() {
        let large = tiers.large.as_ref().map(|large| large.join("packs"));
        for home in survey(&LocalDisk, &packs, large.as_deref(), tiers.objects.is_some(), true)?.homes.values() {
            *needed.entry(home.key).or_default() += 1;
        }
    }
    Ok(needed)
}

/// All packs of a store.
pub(crate) struct Survey {
    pub homes: BTreeMap<u64, Home>,
    /// Packs that were removed and whose object may still be there.
    pub gone: BTreeSet<u64>,
}

pub(crate) fn pack_name(pack: u64) -> String {
    format!("{pack:016x}.pack")
}

fn note_path(dir: &Path, pack: u64, suffix: &str) -> PathBuf {
    dir.join(format!("{pack:016x}.{suffix}"))
}

fn parse_name(name: &str) -> Option<(u64, &str)> {
    let (hex, suffix) = name.split_once('.')?;
    Some((u64::from_str_radix(hex, 16).ok()?, suffix))
}

/// Looks at the folders; never at the object store, which may be out of reach. `large`: the folder of packs on the large
/// disk. `own`: a tier that this store's packs need must be configured; of another node's store what is not is out of
/// reach.
pub(crate) fn survey(
    disk: &dyn Disk,
    dir: &Path,
    large: Option<&Path>,
    objects: bool,
    own: bool,
) -> Result<Survey, BlobError> {
    let mut fast = Vec::new();
    let mut notes: BTreeMap<u64, BTreeSet<Tier>> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for name in disk.list(dir)? {
        match parse_name(&name) {
            Some((pack, "pack")) => fast.push(pack),
            Some((pack, "large")) => drop(notes.entry(pack).or_default().insert(Tier::Large)),
            Some((pack, "objects")) => drop(notes.entry(pack).or_default().insert(Tier::Objects)),
            Some((pack, "gone")) => drop(gone.insert(pack)),
            _ => {}
        }
    }
    let mut on_large = BTreeSet::new();
    if let Some(large) = large {
        match packs_in(disk, large) {
            Ok(packs) => on_large.extend(packs),
            Err(error) => tracing::error!(%error, "the folder of the large disk cannot be read"),
        }
    }
    let mut homes = BTreeMap::new();
    for pack in fast {
        if let Some(home) = look(disk, dir, pack, Tier::Fast)? {
            homes.insert(pack, home);
        }
    }
    let mut copies = Vec::new();
    for (pack, tiers) in notes.into_iter().filter(|(pack, _)| !gone.contains(pack)) {
        if tiers.contains(&Tier::Objects) {
            copies.push(pack);
        }
        // The large disk may not be mounted: then its note stands.
        let last = tiers.last().copied();
        let there = |tier: &Tier| *tier != Tier::Large || on_large.contains(&pack) || last == Some(Tier::Large);
        for tier in tiers.into_iter().filter(there) {
            if !homes.contains_key(&pack)
                && let Some(home) = read_note(disk, dir, pack, tier)?
            {
                homes.insert(pack, home);
            }
        }
    }
    for home in homes.values().filter(|_| own) {
        match home.tier {
            Tier::Large if large.is_none() => {
                return Err(BlobError::Misplaced("packs lie on a large disk that the configuration does not name"));
            }
            Tier::Objects if !objects => {
                return Err(BlobError::Misplaced("packs lie in an object store that the configuration does not name"));
            }
            _ => {}
        }
    }
    let ends: Vec<Ended> = homes.values().filter_map(|home| home.before).collect();
    for end in ends {
        if let Some(home) = homes.get_mut(&end.pack) {
            home.len = end.at.min(home.len);
        }
    }
    for pack in copies {
        if let Some(home) = homes.get_mut(&pack).filter(|home| home.tier != Tier::Objects)
            && let Some(copy) = read_note(disk, dir, pack, Tier::Objects)?
            && copy.len == home.len
            && copy.sha256.is_some()
        {
            (home.shared, home.sha256) = (true, copy.sha256);
        }
    }
    Ok(Survey { homes, gone })
}

/// The packs whose files lie in a folder; none when it is not there.
pub(crate) fn packs_in(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, BlobError> {
    let names = match disk.list(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let packs = names.iter().filter_map(|name| parse_name(name)).filter(|(_, suffix)| *suffix == "pack");
    Ok(packs.map(|(pack, _)| pack).collect())
}

/// What the file of a pack says; `None` when it holds nothing.
pub(crate) fn look(disk: &dyn Disk, dir: &Path, pack: u64, tier: Tier) -> Result<Option<Home>, BlobError> {
    let file = disk.open_to_read(&dir.join(pack_name(pack)))?;
    let len = file.size()?;
    let header = readable(&*file, 0, PACK_HEADER as usize)?.unwrap_or_default();
    let (before, key) = match read_pack_header(&header, pack) {
        Ok(before) => (before, key_of(&header)),
        Err(PackHeaderError::Version) => return Err(BlobError::Corrupt("pack of an unknown format version")),
        // A power cut may leave a name without its header: nothing in it was ever acknowledged.
        Err(PackHeaderError::Damaged) if len <= PACK_HEADER => return Ok(None),
        // Its records each stand for themselves.
        Err(PackHeaderError::Damaged) => {
            tracing::error!(pack, "the header of a pack is damaged");
            (None, None)
        }
    };
    Ok(Some(Home { tier, len, made_at: made_at(&header), before, sha256: None, shared: false, key }))
}

fn read_note(disk: &dyn Disk, dir: &Path, pack: u64, tier: Tier) -> Result<Option<Home>, BlobError> {
    let file = disk.open_to_read(&note_path(dir, pack, tier.as_str()))?;
    let text = file.read_some(0, 4096)?;
    let note = text.split_at_checked(4).and_then(|(sum, json)| {
        let whole = crc32c::crc32c(json).to_le_bytes() == *sum;
        whole.then(|| serde_json::from_slice::<PackNote>(json).ok()).flatten().filter(|note| note.v == 1)
    });
    Ok(note.map(|note| Home {
        tier,
        len: note.len,
        made_at: note.made_at,
        before: note.before.map(|(pack, at)| Ended { pack, at }),
        sha256: note.sha256.as_deref().and_then(unhex),
        shared: false,
        key: note.key_id(),
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let byte = |at: usize| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok();
    let bytes: Vec<u8> = (0..32).map_while(byte).collect();
    bytes.try_into().ok()
}

/// Notes durably where a pack lies.
pub(crate) fn write_note(disk: &dyn Disk, dir: &Path, pack: u64, tier: Tier, note: &PackNote) -> Result<(), BlobError> {
    let json = serde_json::to_vec(note).map_err(io::Error::other)?;
    let sum = crc32c::crc32c(&json).to_le_bytes();
    let path = note_path(dir, pack, tier.as_str());
    // One that an earlier attempt left.
    erase(disk, &path)?;
    let file = disk.create(&path)?;
    file.write_at(&[IoSlice::new(&sum), IoSlice::new(&json)], 0)?;
    file.sync_data()?;
    Ok(disk.sync_dir(dir)?)
}

/// Says of a store that is not open, in `dir`, that a pack lies in the object store: what a restore does with packs that
/// are not in the backup.
pub fn note_in_objects(dir: &Path, pack: u64, note: &PackNote) -> Result<(), BlobError> {
    let packs = dir.join("packs");
    LocalDisk.create_dir(&packs)?;
    write_note(&LocalDisk, &packs, pack, Tier::Objects, note)
}

/// Takes back the note of a tier.
pub(crate) fn erase_note(disk: &dyn Disk, dir: &Path, pack: u64, tier: Tier) -> Result<(), BlobError> {
    erase(disk, &note_path(dir, pack, tier.as_str()))
}

/// Notes durably that a pack is removed, before its object is.
pub(crate) fn mark_gone(disk: &dyn Disk, dir: &Path, pack: u64) -> Result<(), BlobError> {
    match disk.create(&note_path(dir, pack, "gone")) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e.into()),
        _ => {}
    }
    Ok(disk.sync_dir(dir)?)
}

/// The object of a removed pack is gone too.
pub(crate) fn forget_gone(disk: &dyn Disk, dir: &Path, pack: u64) -> Result<(), BlobError> {
    for suffix in ["large", "objects"] {
        erase(disk, &note_path(dir, pack, suffix))?;
    }
    disk.sync_dir(dir)?;
    erase(disk, &note_path(dir, pack, "gone"))?;
    Ok(disk.sync_dir(dir)?)
}

/// Removes a file. Removing one that is gone is no error.
pub(crate) fn erase(disk: &dyn Disk, path: &Path) -> Result<(), BlobError> {
    match disk.remove(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e.into()),
        _ => Ok(()),
    }
}
