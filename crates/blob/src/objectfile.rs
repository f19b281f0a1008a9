//! A pack in the object store, read as a file.

use crate::disk::DiskFile;
use crate::objects::{Coming, Objects};
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

/// Pieces in hand of a reader that passes through.
const IN_HAND: usize = 4;

/// Two kinds of readers: those that come back (images on a screen), for whom pieces are kept, and those that go through
/// a pack from end to end once (checks, copies), who would only push out what others need.
pub(crate) struct ObjectFile {
    objects: Arc<Objects>,
    pack: u64,
    size: u64,
    passing: Option<Mutex<Passing>>,
}

/// What a reader that passes through has in hand, and the piece that it will want next.
#[derive(Default)]
struct Passing {
    hand: VecDeque<(u64, Bytes)>,
    ahead: Option<(u64, Coming)>,
}

impl ObjectFile {
    pub fn kept(objects: Arc<Objects>, pack: u64, size: u64) -> Self {
        Self { objects, pack, size, passing: None }
    }

    pub fn passing(objects: Arc<Objects>, pack: u64, size: u64) -> Self {
        Self { objects, pack, size, passing: Some(Mutex::default()) }
    }

    fn pass(&self, passing: &Mutex<Passing>, index: u64) -> io::Result<Bytes> {
        let mut passing = passing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = passing.hand.iter().find(|(there, _)| *there == index) {
            return Ok(bytes.clone());
        }
        let coming = match passing.ahead.take() {
            Some((ahead, coming)) if ahead == index => coming,
            _ => self.objects.bring((self.pack, index), self.size, false),
        };
        let reads_on = passing.hand.back().is_some_and(|(before, _)| before + 1 == index);
        if reads_on && (index + 1) * self.objects.piece() < self.size {
            passing.ahead = Some((index + 1, self.objects.bring((self.pack, index + 1), self.size, false)));
        }
        let bytes = self.objects.wait(coming)?;
        if passing.hand.len() >= IN_HAND {
            passing.hand.pop_front();
        }
        passing.hand.push_back((index, bytes.clone()));
        Ok(bytes)
    }
}

impl DiskFile for ObjectFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size || buffer.is_empty() {
            return Ok(0);
        }
        let piece = self.objects.piece();
        let (index, at) = (offset / piece, offset % piece);
        let bytes = match &self.passing {
            Some(passing) => self.pass(passing, index)?,
            None => {
                if let Some(n) = self.objects.recall.read((self.pack, index), at, buffer, false) {
                    return Ok(n);
                }
                self.objects.wait(self.objects.bring((self.pack, index), self.size, true))?
            }
        };
        let rest = bytes.get(at as usize..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }

    fn read_cached(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.passing.is_some() {
            return Ok(0);
        }
        let piece = self.objects.piece();
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let at = offset + filled as u64;
            let upto = rest.len().min((piece - at % piece) as usize);
            let Some(rest) = rest.get_mut(..upto) else { break };
            match self.objects.recall.read((self.pack, at / piece), at % piece, rest, true) {
                Some(n) if n > 0 => filled += n,
                _ => break,
            }
        }
        Ok(filled)
    }

    fn write_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn forget_cached(&self) -> io::Result<()> {
        Ok(())
    }
}
