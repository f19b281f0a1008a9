//! High-Throughput JPEG 2000 (ISO/IEC 15444-15) by the system's OpenJPH: lossless coding in the form of the transfer
//! syntax HTJ2K Lossless RPCL (PS3.5 10.18), decoding of the three HTJ2K syntaxes, and where the resolutions of a
//! codestream end, so that a prefix of its bytes is a smaller image.
//!
//! The library is C++ and older versions of it believe what they read. So a codestream reaches it only after its main
//! header, tile-parts and every packet header have been walked here: lengths lie within the bytes, sizes are those
//! expected, and forms that the library treats in its own way (tiles, layers, image offsets) are refused as
//! unsupported.
//!
//! This crate is the project's only home of unsafe code (`ffi.rs`) and C++ (`shim.cpp`).

mod ffi;
mod header;
mod packets;
mod tile_parts;

use header::Header;

/// Why a codestream could not be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes contradict themselves or what is expected of them.
    #[error("damaged HTJ2K data: {0}")]
    Damaged(&'static str),
    /// A form of HTJ2K that is not decoded here.
    #[error("unsupported HTJ2K: {0}")]
    Unsupported(&'static str),
    /// A sample does not fit the bits given.
    #[error("a sample has more bits than declared")]
    Range,
    #[error("the image is too large")]
    TooLarge,
    /// The library failed at what it should be able to do.
    #[error("the HTJ2K encoder failed")]
    Library,
}

/// An image as it lies outside the codestream: rows from the top, samples of a pixel side by side, each one or two
/// bytes in the machine's order (little endian).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    pub width: u32,
    pub height: u32,
    /// 1, or 3 with one size for all.
    pub components: u8,
    /// Bytes of a sample, 1 or 2.
    pub word: u8,
    /// Significant bits of a sample, 1 to `8 * word`.
    pub depth: u8,
    /// Two's complement, the sign extended to the whole word.
    pub signed: bool,
}

/// One resolution of a codestream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    pub width: u32,
    pub height: u32,
    /// Bytes from the codestream's start that hold it with all coarser ones.
    pub end: usize,
}

/// What a codestream says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codestream {
    pub width: u32,
    pub height: u32,
    pub components: u8,
    pub depth: u8,
    pub signed: bool,
    /// By the reversible wavelet.
    pub lossless: bool,
    /// Whether the components were red, green and blue to the encoder.
    pub color_transform: bool,
    /// Decomposition levels: a whole codestream has one resolution more.
    pub levels: u8,
    /// The resolutions that are there, coarsest first.
    pub resolutions: Vec<Resolution>,
}

/// Decomposition levels for PS3.5 10.18: five, or as many as bring one side of the base resolution to 64 at most; but
/// none that halves nothing.
pub fn levels(width: u32, height: u32) -> u8 {
    let ceil_log2 = |n: u32| n.max(1).next_power_of_two().trailing_zeros();
    let wanted = ceil_log2(width.min(height).div_ceil(64)).max(5);
    wanted.min(ceil_log2(width.max(height))) as u8
}

/// Encodes without loss, in RPCL order, one tile-part a resolution, TLM in front. `rgb`: the three components are red,
/// green and blue, and are coded by the reversible color transform. `Error::Range` where a sample has more than
/// `image.depth` bits.
///
/// The samples come back the same from every codestream, but version 0.9 of the library does not write the same
/// codestream each time: whether it leaves out a code-block of zeros depends on memory that it does not clear.
pub fn encode(image: &Image, rgb: bool, samples: &[u8]) -> Result<Vec<u8>, Error> {
    let shape = shape(image, image.depth, levels(image.width, image.height), rgb && image.components == 3);
    if shape.len() != Some(samples.len()) {
        return Err(Error::Damaged("number of samples"));
    }
    if !fits(image, samples) {
        return Err(Error::Range);
    }
    tile_parts::by_resolution(&ffi::encode(&shape, samples)?)
}

/// Whether every sample is what its lowest `image.depth` bits say.
pub fn fits(image: &Image, samples: &[u8]) -> bool {
    let unused = 16 - u32::from(image.depth.clamp(1, 16));
    match (image.word, image.signed) {
        (1, _) if image.depth >= 8 => true,
        (_, _) if image.depth >= 16 => true,
        (1, false) => samples.iter().all(|s| u16::from(*s) << unused >> unused == u16::from(*s)),
        (1, true) => samples.iter().all(|s| i16::from(*s as i8) << unused >> unused == i16::from(*s as i8)),
        (_, false) => samples.as_chunks().0.iter().map(|s| u16::from_le_bytes(*s)).all(|s| s << unused >> unused == s),
        (_, true) => samples.as_chunks().0.iter().map(|s| i16::from_le_bytes(*s)).all(|s| s << unused >> unused == s),
    }
}

fn shape(image: &Image, depth: u8, levels: u8, color_transform: bool) -> ffi::Shape {
    ffi::Shape {
        width: image.width,
        height: image.height,
        components: u32::from(image.components),
        depth: u32::from(depth),
        is_signed: u32::from(image.signed),
        word: u32::from(image.word),
        levels: u32::from(levels),
        color_transform: u32::from(color_transform),
    }
}

/// Reads a codestream's structure, decoding nothing. A prefix tells the resolutions that it has; bytes behind the
/// codestream, as the padding of a DICOM fragment, are ignored.
pub fn inspect(codestream: &[u8]) -> Result<Codestream, Error> {
    Ok(walk(codestream)?.0)
}

/// The structure, and where its last tile-part ends.
fn walk(codestream: &[u8]) -> Result<(Codestream, usize), Error> {
    let header = Header::read(codestream)?;
    let parts = packets::tile_parts(codestream, &header)?;
    let ends = packets::resolution_ends(codestream, &header, &parts)?;
    // A resolution ends with the tile-part that has its last packet: the library reads whole tile-parts.
    let whole = |end: usize| parts.iter().find(|part| part.end >= end).map_or(end, |part| part.end);
    let resolutions = (0u8..).zip(&ends).map(|(r, end)| {
        let (width, height) = header.resolution(r);
        Resolution { width, height, end: whole(*end) }
    });
    let structure = Codestream {
        width: header.width,
        height: header.height,
        components: header.components as u8,
        depth: header.depth,
        signed: header.signed,
        lossless: header.reversible,
        color_transform: header.color_transform,
        levels: header.levels,
        resolutions: resolutions.collect(),
    };
    Ok((structure, parts.last().map_or(0, |part| part.end)))
}

/// Decodes a whole codestream that must have `width` by `height` pixels of `components` samples, into words of `word`
/// bytes. Gives the image's own depth and sign with the samples: red, green and blue again where the color transform
/// was used.
pub fn decode(codestream: &[u8], width: u32, height: u32, components: u8, word: u8) -> Result<(Image, Vec<u8>), Error> {
    let (found, end) = walk(codestream)?;
    if (found.width, found.height) != (width, height) {
        return Err(Error::Damaged("dimensions"));
    }
    if found.components != components {
        return Err(Error::Damaged("number of components"));
    }
    if found.resolutions.len() != usize::from(found.levels) + 1 {
        return Err(Error::Damaged("cut short"));
    }
    read(&found, codestream.get(..end).unwrap_or_default(), 0, word)
}

/// Decodes the resolution with `reduce` halvings out of a prefix that holds it; 0 is the whole image. At most
/// `max_samples` come out.
pub fn decode_reduced(prefix: &[u8], reduce: u8, word: u8, max_samples: usize) -> Result<(Image, Vec<u8>), Error> {
    let (found, end) = walk(prefix)?;
    let index = found.levels.checked_sub(reduce).ok_or(Error::Unsupported("resolution"))?;
    let resolution = found.resolutions.get(usize::from(index)).ok_or(Error::Damaged("cut short"))?;
    let pixels = (resolution.width as usize).saturating_mul(resolution.height as usize);
    if pixels.saturating_mul(usize::from(found.components)) > max_samples {
        return Err(Error::TooLarge);
    }
    read(&found, prefix.get(..resolution.end.min(end)).unwrap_or_default(), reduce, word)
}

fn read(found: &Codestream, data: &[u8], reduce: u8, word: u8) -> Result<(Image, Vec<u8>), Error> {
    let index = usize::from(found.levels.saturating_sub(reduce));
    let resolution = found.resolutions.get(index).ok_or(Error::Damaged("cut short"))?;
    if !matches!(word, 1 | 2) || found.depth > word * 8 {
        return Err(Error::Damaged("bit depth"));
    }
    let image = Image {
        width: resolution.width,
        height: resolution.height,
        components: found.components,
        word,
        depth: found.depth,
        signed: found.signed,
    };
    let samples = ffi::decode(data, &shape(&image, found.depth, 0, found.color_transform), u32::from(reduce))?;
    Ok((image, samples))
}
