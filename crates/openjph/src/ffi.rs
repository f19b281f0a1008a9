//! The border to C++ (shim.cpp). The only unsafe code of the project's own.
#![allow(unsafe_code)]

use crate::Error;

/// Mirrors `Shape` of shim.cpp. `word` is the bytes of a sample outside the codestream, 1 or 2.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(crate) struct Shape {
    pub width: u32,
    pub height: u32,
    pub components: u32,
    pub depth: u32,
    pub is_signed: u32,
    pub word: u32,
    pub levels: u32,
    pub color_transform: u32,
}

impl Shape {
    /// Bytes of the native image; `None` where that is no number or the shape is none.
    pub fn len(&self) -> Option<usize> {
        let fits = matches!(self.word, 1 | 2)
            && matches!(self.components, 1 | 3)
            && (1..=self.word * 8).contains(&self.depth)
            && self.width > 0
            && self.height > 0;
        let samples = (self.width as usize).checked_mul(self.height as usize)?.checked_mul(self.components as usize)?;
        fits.then(|| samples.checked_mul(self.word as usize))?
    }
}

unsafe extern "C" {
    fn mingying_htj2k_encode(
        shape: *const Shape,
        pixels: *const u8,
        to: *mut u8,
        capacity: usize,
        written: *mut usize,
    ) -> i32;
    fn mingying_htj2k_decode(data: *const u8, size: usize, shape: *const Shape, reduce: u32, pixels: *mut u8) -> i32;
}

fn outcome(code: i32) -> Result<(), Error> {
    match code {
        0 => Ok(()),
        3 => Err(Error::Damaged("dimensions")),
        _ => Err(Error::Damaged("codestream")),
    }
}

/// The codestream of `pixels` in one tile-part.
pub(crate) fn encode(shape: &Shape, pixels: &[u8]) -> Result<Vec<u8>, Error> {
    if shape.len() != Some(pixels.len()) {
        return Err(Error::Damaged("number of samples"));
    }
    // Noise grows by at most a few bits a sample; small images are mostly headers.
    let mut capacity = pixels.len() + pixels.len() / 4 + 4096;
    for _ in 0..2 {
        let mut out: Vec<u8> = Vec::with_capacity(capacity);
        let mut written = 0;
        // SAFETY: `pixels` has the bytes that `shape` describes, as checked above; the library writes at most
        // `capacity` bytes, which `out` has room for.
        let code = unsafe {
            mingying_htj2k_encode(shape, pixels.as_ptr(), out.as_mut_ptr(), out.capacity(), &raw mut written)
        };
        match code {
            0 if written <= out.capacity() => {
                // SAFETY: the library has written the first `written` bytes.
                unsafe { out.set_len(written) };
                return Ok(out);
            }
            2 => capacity *= 4,
            _ => return Err(Error::Library),
        }
    }
    Err(Error::Library)
}

/// The image of a codestream whose structure has been checked, leaving out the `reduce` finest resolutions; `shape` is
/// what comes out.
pub(crate) fn decode(data: &[u8], shape: &Shape, reduce: u32) -> Result<Vec<u8>, Error> {
    let mut pixels = vec![0; shape.len().ok_or(Error::Unsupported("sample format"))?];
    // SAFETY: `data` is read within its length; `pixels` has the bytes that `shape` describes, and the shim compares
    // the codestream's dimensions with it before the first is written.
    let code = unsafe { mingying_htj2k_decode(data.as_ptr(), data.len(), shape, reduce, pixels.as_mut_ptr()) };
    outcome(code)?;
    Ok(pixels)
}
