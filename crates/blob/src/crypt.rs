//! Encryption at rest: what stands on the disk of an encrypted record, and the keys it takes to read it.
//!
//! Three keys. The *master key* is a file of the operator's. The *data key* is drawn when a pack is begun or gone on
//! with. The *record key* is drawn when a blob begins to arrive. Each but the first is on the disk only under the one
//! before it. A record holds everything that reading it takes but the master key.
//!
//! An encrypted record differs from a plain one in three ways (`record` says the rest). Numbers are little-endian,
//! `||` joins bytes, `E(key, nonce, extra, text)` is GCM with a tag of 16 bytes over AES-256 or SM4, whose keys are the
//! first 32 or 16 bytes of a secret of 32:
//!
//! - The payload is encrypted in segments of 32 KiB, each with its own tag: segment `n` is
//!   `E(record key, n as 12 bytes big-endian, "", segment)`. A record key encrypts one payload and nothing else, so no
//!   nonce comes twice under it, whatever is cut off, written again or written elsewhere.
//! - The *frame* is `E(data key, nonce, header of the record, meta || record key || SHA-256 of the content)`. The header
//!   says kind, lengths, pack and offset, so a record that was altered, cut, moved or exchanged does not open.
//! - In the place of the checksums, behind the encrypted meta, stand 168 bytes and the segments' tags, 16 bytes each.
//!   The 168: record key and SHA-256, encrypted (64); tag of the frame (16); nonce of the frame (12); then the wrapped
//!   data key: id of the master key (8), cipher (1: AES-256-GCM, 2: SM4-GCM), three zeros, nonce (12), the data key under
//!   the master key (32), tag (16); and a CRC-32C of the 164 bytes before it, which tells damage from a wrong key. The
//!   trailer's SHA-256 is zero.
//!
//! The data key is wrapped as `E(SHA-256("mingying wrap " || name of the cipher || 0 || master key), nonce,
//! pack id || id of the master key || cipher || 0 0 0, data key)`. The id of a master key is the first 8 bytes of
//! `SHA-256("mingying key id" || 0 || master key)`. Nonces of frames and wrapped keys are random.

use crate::BlobError;
use crate::record::{RECORD_HEADER, SUM_CHUNK};
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::{Zeroize as _, Zeroizing};

pub(crate) const TAG: usize = 16;
const NONCE: usize = 12;
const SECRET: usize = 32;
/// Behind the meta of an encrypted record.
pub(crate) const BLOCK: usize = 2 * SECRET + TAG + NONCE + WRAPPED + 4;
/// Master key's id, cipher, nonce, data key, tag.
const WRAPPED: usize = ID + NONCE + SECRET + TAG;
/// Master key's id and cipher.
const ID: usize = 12;
/// Data keys kept unwrapped while the process lives.
const KNOWN: usize = 1024;

/// How what is written is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    Aes256Gcm,
    /// GB/T 32907, as in RFC 8998.
    Sm4Gcm,
}

impl Cipher {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aes-256-gcm",
            Self::Sm4Gcm => "sm4-gcm",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Aes256Gcm, Self::Sm4Gcm].into_iter().find(|cipher| cipher.as_str() == name)
    }

    const fn code(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::Sm4Gcm => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::Sm4Gcm),
            _ => None,
        }
    }
}

/// Names a master key; made from it, and of no use to who has not got it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub(crate) [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl KeyId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 8];
        read_hex(text, &mut id).then_some(Self(id))
    }
}

/// Reads as many bytes as `out` has; whether the text is these and nothing else.
fn read_hex(text: &str, out: &mut [u8]) -> bool {
    text.len() == out.len() * 2
        && out.iter_mut().enumerate().all(|(i, byte)| {
            let read = text.get(i * 2..i * 2 + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
            read.is_some_and(|read| {
                *byte = read;
                text.as_bytes().iter().all(u8::is_ascii_hexdigit)
            })
        })
}

/// Bytes of a key; overwritten when it goes.
type Secret = Zeroizing<[u8; SECRET]>;

fn random<const N: usize>() -> Result<[u8; N], BlobError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| BlobError::Corrupt("the system gives no random numbers"))?;
    Ok(bytes)
}

fn secret() -> Result<Secret, BlobError> {
    Ok(Zeroizing::new(random()?))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

/// A master key.
#[derive(Clone)]
pub struct MasterKey {
    id: KeyId,
    secret: Secret,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterKey").field(&self.id).finish()
    }
}

impl MasterKey {
    /// Draws a new one.
    pub fn random() -> Result<Self, BlobError> {
        Ok(Self::of(secret()?))
    }

    fn of(secret: Secret) -> Self {
        Self {
            id: KeyId(array(&Sha256::new().chain_update(b"mingying key id\0").chain_update(*secret).finalize(), 0)),
            secret,
        }
    }

    /// Reads the text of a key file: 64 hexadecimal digits on a line; lines that begin with `#` are remarks.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut secret = Secret::default();
        (read_hex(lines.next()?, &mut *secret) && lines.next().is_none()).then(|| Self::of(secret))
    }

    /// As `parse` reads it.
    pub fn to_text(&self) -> Zeroizing<String> {
        use fmt::Write as _;
        let mut text = Zeroizing::new(String::with_capacity(160));
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "# Mingying master key {}. Who has it reads the images; without it nobody does.", self.id);
        for byte in *self.secret {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        text
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key for one use of it.
    fn derived(&self, purpose: &str, cipher: Cipher) -> Gcm {
        let hash = Sha256::new().chain_update(purpose).chain_update(cipher.as_str()).chain_update([0]);
        let secret = Secret::new(hash.chain_update(*self.secret).finalize().into());
        Gcm::new(cipher, &secret)
    }
}

/// Data keys by pack and by how they stand in its records.
type Known = HashMap<(u64, [u8; WRAPPED]), Arc<DataKey>>;

/// The master keys of an installation. Cheap to clone; shows no key.
#[derive(Clone, Default)]
pub struct Keys {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// What is written is encrypted with it; `None`: it is not encrypted.
    current: Option<(Cipher, KeyId)>,
    all: BTreeMap<KeyId, MasterKey>,
    known: Mutex<Known>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("current", &self.inner.current).field("all", &self.inner.all.keys()).finish()
    }
}

impl Keys {
    /// `current` encrypts what is written; without it nothing is encrypted from now on. It and `older` read.
    pub fn new(current: Option<(Cipher, MasterKey)>, older: impl IntoIterator<Item = MasterKey>) -> Self {
        let id = current.as_ref().map(|(cipher, key)| (*cipher, key.id));
        let all = older.into_iter().chain(current.map(|(_, key)| key)).map(|key| (key.id, key)).collect();
        Self { inner: Arc::new(Inner { current: id, all, known: Mutex::default() }) }
    }

    /// The key that what is written is encrypted with.
    pub fn current(&self) -> Option<KeyId> {
        self.inner.current.map(|(_, id)| id)
    }

    pub fn has(&self, id: KeyId) -> bool {
        self.inner.all.contains_key(&id)
    }

    pub(crate) fn cipher(&self) -> Option<Cipher> {
        self.inner.current.map(|(cipher, _)| cipher)
    }

    /// A data key for a pack; `None` when what is written is not encrypted.
    pub(crate) fn data_key(&self, pack: u64) -> Result<Option<Arc<DataKey>>, BlobError> {
        let Some((cipher, id)) = self.inner.current else { return Ok(None) };
        let master = self.inner.all.get(&id).ok_or(BlobError::Locked(id))?;
        let (secret, nonce) = (secret()?, random::<NONCE>()?);
        let mut head = [0; ID];
        head[..8].copy_from_slice(&id.0);
        head[8] = cipher.code();
        let mut closed = secret.clone();
        let extra = [&pack.to_le_bytes()[..], &head].concat();
        let tag = master.derived("mingying wrap ", cipher).seal(nonce, &extra, &mut *closed)?;
        let wrapped = array(&[&head[..], &nonce, &*closed, &tag].concat(), 0);
        Ok(Some(Arc::new(DataKey { gcm: Gcm::new(cipher, &secret), cipher, wrapped })))
    }

    /// The data key that stands in a record.
    fn unwrap(&self, pack: u64, wrapped: [u8; WRAPPED]) -> Result<Arc<DataKey>, Shut> {
        let lock = || self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&(pack, wrapped)) {
            return Ok(known.clone());
        }
        let cipher = Cipher::from_code(wrapped[8]).ok_or(Shut::Damaged)?;
        let id = KeyId(array(&wrapped, 0));
        let master = self.inner.all.get(&id).ok_or(Shut::Locked(id))?;
        let (head, rest) = wrapped.split_at(ID);
        let extra = [&pack.to_le_bytes()[..], head].concat();
        let mut secret = Secret::new(array(rest, NONCE));
        if !master.derived("mingying wrap ", cipher).open(
            array(rest, 0),
            &extra,
            &mut *secret,
            array(rest, NONCE + SECRET),
        ) {
            return Err(Shut::Damaged);
        }
        let key = Arc::new(DataKey { gcm: Gcm::new(cipher, &secret), cipher, wrapped });
        let mut known = lock();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert((pack, wrapped), key.clone());
        Ok(key)
    }

    /// Opens the frame of a record of `pack` that begins with `header`. `behind`: the meta and the 168 bytes after it.
    pub(crate) fn open_frame(&self, pack: u64, header: &[u8], behind: &[u8]) -> Result<Frame, Shut> {
        let (meta, block) = behind.split_at_checked(behind.len().saturating_sub(BLOCK)).ok_or(Shut::Damaged)?;
        let (block, crc) = block.split_at_checked(BLOCK - 4).ok_or(Shut::Damaged)?;
        if crc32c::crc32c(block).to_le_bytes() != *crc {
            return Err(Shut::Damaged);
        }
        let key = self.unwrap(pack, array(block, 2 * SECRET + TAG + NONCE))?;
        let mut text = Zeroizing::new([meta, block.get(..2 * SECRET).unwrap_or_default()].concat());
        let (tag, nonce) = (array(block, 2 * SECRET), array(block, 2 * SECRET + TAG));
        let header = header.get(..RECORD_HEADER).ok_or(Shut::Damaged)?;
        if !key.gcm.open(nonce, header, &mut text, tag) {
            return Err(Shut::Damaged);
        }
        let record = RecordKey { gcm: Gcm::new(key.cipher, &Secret::new(array(&text, meta.len()))), secret: None };
        let sha256 = array(&text, meta.len() + SECRET);
        Ok(Frame { meta: text.get(..meta.len()).unwrap_or_default().to_vec(), record, sha256, cipher: key.cipher })
    }

    /// Encrypts something small that is kept elsewhere under a name; as it is when nothing is encrypted.
    pub fn close_box(&self, name: &[u8], text: &[u8]) -> Result<Vec<u8>, BlobError> {
        let Some((cipher, id)) = self.inner.current else { return Ok(text.to_vec()) };
        let master = self.inner.all.get(&id).ok_or(BlobError::Locked(id))?;
        let nonce = random::<NONCE>()?;
        let mut out = Vec::with_capacity(ID + NONCE + text.len() + TAG);
        out.extend_from_slice(&id.0);
        out.extend_from_slice(&[cipher.code(), 0, 0, 0]);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(text);
        let extra = [out.get(..ID).unwrap_or_default(), name].concat();
        let inside = out.get_mut(ID + NONCE..).unwrap_or_default();
        let tag = master.derived("mingying box ", cipher).seal(nonce, &extra, inside)?;
        out.extend_from_slice(&tag);
        Ok(out)
    }

    /// What `close_box` was given, with the same name. `None` when this is not what it made, when the key is not here,
    /// and when it was made under another key than what is written now.
    pub fn open_box(&self, name: &[u8], closed: &[u8]) -> Option<Vec<u8>> {
        let Some((cipher, id)) = self.inner.current else { return Some(closed.to_vec()) };
        let (head, rest) = closed.split_at_checked(ID)?;
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        if array::<8>(head, 0) != id.0 || head.get(8) != Some(&cipher.code()) {
            return None;
        }
        let extra = [head, name].concat();
        let mut text = text.to_vec();
        let master = self.inner.all.get(&id)?;
        let opened = master.derived("mingying box ", cipher).open(array(nonce, 0), &extra, &mut text, array(tag, 0));
        opened.then_some(text)
    }
}

/// Why a frame does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shut {
    /// It is not what was written.
    Damaged,
    /// It may be sound: the key is not here.
    Locked(KeyId),
}

/// What the frame of a record tells.
pub(crate) struct Frame {
    pub meta: Vec<u8>,
    pub record: RecordKey,
    pub sha256: [u8; 32],
    pub cipher: Cipher,
}

/// Encrypts the frames of a pack's records.
pub(crate) struct DataKey {
    gcm: Gcm,
    cipher: Cipher,
    wrapped: [u8; WRAPPED],
}

impl DataKey {
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// The frame of a record: the encrypted meta, and what stands behind it.
    pub fn close_frame(
        &self,
        header: &[u8; RECORD_HEADER],
        meta: &[u8],
        record: &RecordKey,
        sha256: &[u8; 32],
    ) -> Result<(Vec<u8>, [u8; BLOCK]), BlobError> {
        let nonce = random::<NONCE>()?;
        let secret = record.secret.as_ref().ok_or(BlobError::Closed)?;
        let mut text = Vec::with_capacity(meta.len() + 2 * SECRET);
        text.extend_from_slice(meta);
        text.extend_from_slice(&**secret);
        text.extend_from_slice(sha256);
        let tag = self.gcm.seal(nonce, header, &mut text)?;
        let parts = [text.get(meta.len()..).unwrap_or_default(), &tag, &nonce, &self.wrapped].concat();
        text.truncate(meta.len());
        let mut block = [0; BLOCK];
        let (front, crc) = block.split_at_mut(BLOCK - 4);
        front.copy_from_slice(&parts);
        crc.copy_from_slice(&crc32c::crc32c(&parts).to_le_bytes());
        Ok((text, block))
    }
}

/// Encrypts one payload.
pub(crate) struct RecordKey {
    gcm: Gcm,
    /// Only where the record is still to be written.
    secret: Option<Secret>,
}

impl RecordKey {
    pub fn random(cipher: Cipher) -> Result<Self, BlobError> {
        let secret = secret()?;
        Ok(Self { gcm: Gcm::new(cipher, &secret), secret: Some(secret) })
    }

    fn nonce(segment: u64) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[4..].copy_from_slice(&segment.to_be_bytes());
        nonce
    }

    /// Encrypts a segment in its place; its tag. Each segment is encrypted once.
    pub fn seal(&self, segment: u64, bytes: &mut [u8]) -> Result<[u8; TAG], BlobError> {
        self.gcm.seal(Self::nonce(segment), &[], bytes)
    }

    /// Decrypts segments from `first` on in their place, the last one perhaps shorter; whether all are what their tags
    /// say.
    pub fn open(&self, first: u64, bytes: &mut [u8], tags: &[u8]) -> bool {
        let (tags, rest) = tags.as_chunks::<TAG>();
        let segments = bytes.chunks_mut(SUM_CHUNK as usize);
        rest.is_empty()
            && segments.len() == tags.len()
            && (first..)
                .zip(segments)
                .zip(tags)
                .all(|((n, segment), tag)| self.gcm.open(Self::nonce(n), &[], segment, *tag))
    }
}

/// One of the ciphers with a key.
enum Gcm {
    Aes(Box<LessSafeKey>),
    Sm4(Box<AesGcm<sm4::Sm4, U12>>),
}

impl Gcm {
    fn new(cipher: Cipher, secret: &Secret) -> Self {
        match (cipher, UnboundKey::new(&AES_256_GCM, &**secret)) {
            (Cipher::Aes256Gcm, Ok(key)) => Self::Aes(Box::new(LessSafeKey::new(key))),
            // A secret always has the length of a key.
            _ => {
                let mut short: [u8; 16] = array(&**secret, 0);
                let gcm = AesGcm::new(&short.into());
                short.zeroize();
                Self::Sm4(Box::new(gcm))
            }
        }
    }

    /// Encrypts in place; the tag.
    fn seal(&self, nonce: [u8; NONCE], extra: &[u8], text: &mut [u8]) -> Result<[u8; TAG], BlobError> {
        const TOO_LONG: BlobError = BlobError::Corrupt("too long for the cipher");
        match self {
            Self::Aes(key) => {
                let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(extra), text);
                tag.map(|tag| array(tag.as_ref(), 0)).map_err(|_| TOO_LONG)
            }
            Self::Sm4(key) => {
                let tag = key.encrypt_inout_detached(&nonce.into(), extra, text.into());
                tag.map(Into::into).map_err(|_| TOO_LONG)
            }
        }
    }

    /// Decrypts in place; whether it is what the tag says. If not, what is in `text` is of no use.
    fn open(&self, nonce: [u8; NONCE], extra: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        match self {
            Self::Aes(key) => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place_separate_tag(nonce, Aad::from(extra), tag.into(), text, 0..).is_ok()
            }
            Self::Sm4(key) => key.decrypt_inout_detached(&nonce.into(), extra, text.into(), &tag.into()).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[i * 2..i * 2 + 2], 16).unwrap()).collect()
    }

    /// RFC 8998 A.1.
    #[test]
    fn sm4_gcm_is_that_of_the_standard() {
        let mut secret = Secret::default();
        secret[..16].copy_from_slice(&hex("0123456789abcdeffedcba9876543210"));
        let gcm = Gcm::new(Cipher::Sm4Gcm, &secret);
        let mut text = hex(
            "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa",
        );
        let plain = text.clone();
        let extra = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let nonce = array(&hex("00001234567800000000abcd"), 0);
        let tag = gcm.seal(nonce, &extra, &mut text).unwrap();
        assert_eq!(
            text,
            hex(
                "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d"
            )
        );
        assert_eq!(tag, *hex("83de3541e4c2b58177e065a9bf7b62ec"));
        assert!(gcm.open(nonce, &extra, &mut text, tag) && text == plain);
    }

    #[test]
    fn keys_are_written_read_and_never_shown() {
        let key = MasterKey::random().unwrap();
        let text = key.to_text();
        assert_eq!(MasterKey::parse(&text).unwrap().secret, key.secret);
        let shown = format!("{key:?} {:?}", Keys::new(Some((Cipher::Sm4Gcm, key.clone())), []));
        let digits = text.lines().last().unwrap();
        assert!(shown.contains(&key.id().to_string()) && !shown.contains(digits));
        assert_eq!(KeyId::parse(&key.id().to_string()), Some(key.id()));
        for wrong in ["", "00", &digits[1..], &format!("{digits}\n{digits}"), &digits.replace(|_| true, "+")] {
            assert!(MasterKey::parse(wrong).is_none(), "{wrong}");
        }
    }

    fn keys(cipher: Cipher) -> Keys {
        Keys::new(Some((cipher, MasterKey::random().unwrap())), [])
    }

    proptest! {
        #[test]
        fn a_frame_opens_where_it_was_closed_and_nowhere_else(
            sm4: bool, meta in proptest::collection::vec(any::<u8>(), 0..300), header: [u8; 32], sha256: [u8; 32], bit: usize,
        ) {
            let cipher = if sm4 { Cipher::Sm4Gcm } else { Cipher::Aes256Gcm };
            let keys = keys(cipher);
            let header: [u8; RECORD_HEADER] = array(&[header, header].concat(), 0);
            let (data, record) = (keys.data_key(7).unwrap().unwrap(), RecordKey::random(cipher).unwrap());
            let (closed, block) = data.close_frame(&header, &meta, &record, &sha256).unwrap();
            let mut behind = [&closed[..], &block].concat();
            let opened = keys.open_frame(7, &header, &behind).ok().unwrap();
            prop_assert_eq!((&opened.meta, opened.sha256), (&meta, sha256));
            let mut text = b"pixels".to_vec();
            let tag = record.seal(3, &mut text).unwrap();
            prop_assert!(!opened.record.open(2, &mut text.clone(), &tag));
            prop_assert!(opened.record.open(3, &mut text, &tag) && text == b"pixels");
            prop_assert_eq!(keys.open_frame(8, &header, &behind).err(), Some(Shut::Damaged), "another pack");
            let id = keys.current().unwrap();
            prop_assert_eq!(Keys::default().open_frame(7, &header, &behind).err(), Some(Shut::Locked(id)));
            let mut other = header;
            other[bit % 64] ^= 1 << (bit / 64 % 8);
            prop_assert_eq!(keys.open_frame(7, &other, &behind).err(), Some(Shut::Damaged));
            let len = behind.len();
            behind[bit % len] ^= 1 << (bit / len % 8);
            prop_assert_eq!(keys.open_frame(7, &header, &behind).err(), Some(Shut::Damaged));
        }
    }

    #[test]
    fn a_box_opens_under_its_name_alone() {
        let keys = keys(Cipher::Aes256Gcm);
        let closed = keys.close_box(b"name", b"text").unwrap();
        assert!(!closed.windows(4).any(|four| four == b"text"));
        assert_eq!(keys.open_box(b"name", &closed).unwrap(), b"text");
        assert_eq!(keys.open_box(b"other", &closed), None);
        assert_eq!(keys.open_box(b"name", b"text"), None, "plain text is not taken for encrypted");
        assert_eq!(self::keys(Cipher::Aes256Gcm).open_box(b"name", &closed), None);
        let plain = Keys::default();
        assert_eq!(plain.open_box(b"name", &plain.close_box(b"name", b"text").unwrap()).unwrap(), b"text");
    }
}
