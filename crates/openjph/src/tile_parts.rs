//! One tile-part a resolution, and their lengths in the main header (TLM): what PS3.5 10.18 asks of HTJ2K Lossless
//! RPCL, so that a reader finds the resolutions' ends without reading a packet. Older versions of the library write one
//! tile-part and no TLM.

use crate::Error;
use crate::header::Header;
use crate::packets::{TilePart, resolution_ends, tile_parts};

/// The codestream as the library made it, cut at its resolutions.
pub(crate) fn by_resolution(codestream: &[u8]) -> Result<Vec<u8>, Error> {
    let header = Header::read(codestream)?;
    let parts = tile_parts(codestream, &header)?;
    let &[TilePart { start, data, end }] = parts.as_slice() else { return Err(Error::Library) };
    let ends = resolution_ends(codestream, &header, &parts)?;
    if ends.len() != usize::from(header.levels) + 1 || ends.last() != Some(&end) {
        return Err(Error::Library);
    }
    let count = u8::try_from(ends.len()).map_err(|_| Error::Library)?;
    let lengths: Vec<u32> = std::iter::once(&data)
        .chain(&ends)
        .zip(&ends)
        // SOT has 12 bytes, SOD two.
        .map(|(from, to)| u32::try_from(to - from + 14).map_err(|_| Error::TooLarge))
        .collect::<Result<_, _>>()?;
    let mut out = Vec::with_capacity(codestream.len() + 6 + 18 * ends.len());
    out.extend_from_slice(codestream.get(..start).ok_or(Error::Library)?);
    // TLM (15444-1 A.7.1): index 0; tile-parts in order, so no tile numbers; 32-bit lengths.
    out.extend([0xff, 0x55]);
    out.extend((4 + 4 * u16::from(count)).to_be_bytes());
    out.extend([0, 0x40]);
    out.extend(lengths.iter().flat_map(|length| length.to_be_bytes()));
    let mut from = data;
    for ((index, end), length) in (0u8..).zip(ends).zip(lengths) {
        out.extend([0xff, 0x90, 0, 10, 0, 0]);
        out.extend(length.to_be_bytes());
        out.extend([index, count, 0xff, 0x93]);
        out.extend_from_slice(codestream.get(from..end).ok_or(Error::Library)?);
        from = end;
    }
    out.extend([0xff, 0xd9]);
    Ok(out)
}
