//! Buffers for reading that are used again: the page faults of a fresh one cost more than the copy into it.

use bytes::Bytes;
use std::sync::{Arc, Mutex, PoisonError};

/// Length of a buffer. Larger reads go piece by piece, or into memory of their own.
pub(crate) const BUFFER: usize = 256 << 10;
/// Shorter reads are not worth a whole buffer.
pub(crate) const SMALL: usize = 8 << 10;
/// Idle buffers kept: 8 MiB.
const KEPT: usize = 32;

#[derive(Default)]
pub(crate) struct Buffers {
    idle: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer in use. Comes back when it and all that was cut from it is dropped.
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    len: usize,
    home: Arc<Buffers>,
}

impl Buffers {
    /// A buffer with room for `len` bytes, at most `BUFFER`.
    pub fn take(self: &Arc<Self>, len: usize) -> Buffer {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = idle.unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice());
        Buffer { bytes, len: len.min(BUFFER), home: self.clone() }
    }
}

impl Buffer {
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.len).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut idle = self.home.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_piece_of_it_is_gone() {
        let buffers = Arc::new(Buffers::default());
        let mut buffer = buffers.take(5);
        buffer.as_mut().copy_from_slice(b"hello");
        let bytes = buffer.into_bytes();
        let piece = bytes.slice(1..3);
        drop(bytes);
        assert_eq!(buffers.idle.lock().unwrap().len(), 0, "still in use");
        assert_eq!(&piece[..], b"el");
        drop(piece);
        assert_eq!(buffers.idle.lock().unwrap().len(), 1);
        assert_eq!(buffers.take(9).as_mut().len(), 9, "with another length");
        assert_eq!(buffers.take(BUFFER + 1).as_mut().len(), BUFFER);
    }
}
