//! Walks the packets of a codestream without decoding them (ISO/IEC 15444-1 B.10, B.12; 15444-15 B.3): where each
//! resolution ends, and that no length leads out of its tile-part.

use crate::Error;
use crate::header::{Header, Progression, long, word};

const DAMAGED: Error = Error::Damaged("packet");

/// Packets that one image may have: a mammogram of 8192 x 8192 with precincts of 64 x 64 has 66,000.
const MAX_PACKETS: usize = 1 << 18;

/// A tile-part: where it begins (SOT), where its packets begin and where they end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TilePart {
    pub start: usize,
    pub data: usize,
    pub end: usize,
}

/// The tile-parts that `codestream` has whole, in order. A codestream that was cut, as a prefix is, gives those before
/// the cut.
pub(crate) fn tile_parts(codestream: &[u8], header: &Header) -> Result<Vec<TilePart>, Error> {
    let mut parts: Vec<TilePart> = Vec::new();
    let mut start = header.end;
    while word(codestream, start) == Some(0xff90) {
        let (Some(length), Some(&index), Some(&count)) =
            (long(codestream, start + 6), codestream.get(start + 10), codestream.get(start + 11))
        else {
            break;
        };
        if word(codestream, start + 2) != Some(10) || word(codestream, start + 4) != Some(0) {
            return Err(Error::Damaged("tile-part"));
        }
        if usize::from(index) != parts.len() || (count != 0 && index >= count) {
            return Err(Error::Damaged("order of tile-parts"));
        }
        let end = match length {
            0 => return Err(Error::Unsupported("tile-part of unknown length")),
            n => start + n as usize,
        };
        if end > codestream.len() {
            break;
        }
        let mut data = start + 12;
        loop {
            match word(codestream, data).ok_or(DAMAGED)? {
                0xff93 => break,
                // PLT and COM tell nothing that is needed.
                0xff58 | 0xff64 => data += 2 + usize::from(word(codestream, data + 2).ok_or(DAMAGED)?),
                _ => return Err(Error::Unsupported("marker segment")),
            }
            if data >= end {
                return Err(Error::Damaged("tile-part"));
            }
        }
        data += 2;
        if data > end {
            return Err(Error::Damaged("tile-part"));
        }
        parts.push(TilePart { start, data, end });
        start = end;
    }
    // The library starts over at the first precinct of each tile-part where the order is another.
    if parts.len() > 1 && header.progression != Progression::Rpcl {
        return Err(Error::Unsupported("tile-parts"));
    }
    Ok(parts)
}

/// Bits of a packet header; after a byte 0xff the next one carries seven (15444-1 B.10.1).
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    byte: u8,
    left: u32,
    stuffed: bool,
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<u32, Error> {
        if self.left == 0 {
            self.byte = *self.data.get(self.at).ok_or(DAMAGED)?;
            self.at += 1;
            self.left = if self.stuffed { 7 } else { 8 };
            self.stuffed = self.byte == 0xff;
        }
        self.left -= 1;
        Ok(u32::from(self.byte >> self.left) & 1)
    }

    fn bits(&mut self, count: u32) -> Result<u32, Error> {
        (0..count).try_fold(0, |value, _| Ok((value << 1) | self.bit()?))
    }

    /// The position behind the header.
    fn finish(mut self) -> Result<usize, Error> {
        if self.stuffed {
            self.data.get(self.at).ok_or(DAMAGED)?;
            self.at += 1;
        }
        Ok(self.at)
    }
}

/// A tag tree (15444-1 B.10.2) over a grid: one value a node, `None` until it is known.
struct TagTree {
    widths: Vec<(u32, Vec<Option<u32>>)>,
}

impl TagTree {
    fn new(width: u32, height: u32) -> Self {
        let mut widths = Vec::new();
        let (mut w, mut h) = (width, height);
        loop {
            widths.push((w, vec![None; w as usize * h as usize]));
            if w <= 1 && h <= 1 {
                return Self { widths };
            }
            (w, h) = (w.div_ceil(2), h.div_ceil(2));
        }
    }

    fn node(&mut self, level: usize, x: u32, y: u32) -> Option<&mut Option<u32>> {
        let (width, nodes) = self.widths.get_mut(level)?;
        nodes.get_mut(((y >> level) * *width + (x >> level)) as usize)
    }

    /// Reads down to the leaf. `node` tells the value of one node, given its parent's; a value above `limit` ends it.
    fn read(
        &mut self,
        x: u32,
        y: u32,
        limit: u32,
        mut node: impl FnMut(u32) -> Result<u32, Error>,
    ) -> Result<u32, Error> {
        let mut value = 0;
        for level in (0..self.widths.len()).rev() {
            let slot = self.node(level, x, y).ok_or(DAMAGED)?;
            value = match *slot {
                Some(known) => known,
                None => *slot.insert(node(value)?),
            };
            if value > limit {
                break;
            }
        }
        Ok(value)
    }
}

/// Code-blocks of one precinct in one subband, and the subband's bit planes.
struct Grid {
    width: u32,
    height: u32,
    planes: u32,
}

/// Length of the packet at the start of `data`.
fn packet(data: &[u8], grids: &[Grid]) -> Result<usize, Error> {
    let mut bits = Bits { data, at: 0, byte: 0, left: 0, stuffed: false };
    if grids.iter().all(|g| g.width == 0 || g.height == 0) {
        return Err(Error::Unsupported("empty precincts"));
    }
    if bits.bit()? == 0 {
        return bits.finish();
    }
    let mut body: usize = 0;
    for grid in grids.iter().filter(|g| g.width > 0 && g.height > 0) {
        let mut included = TagTree::new(grid.width, grid.height);
        let mut missing = TagTree::new(grid.width, grid.height);
        for (y, x) in (0..grid.height).flat_map(|y| (0..grid.width).map(move |x| (y, x))) {
            // One layer: a node is included in it or in none.
            if included.read(x, y, 0, |_| Ok(1 - bits.bit()?))? > 0 {
                continue;
            }
            let absent = missing.read(x, y, u32::MAX, |mut value| {
                while bits.bit()? == 0 {
                    value += 1;
                    if value > grid.planes {
                        return Err(DAMAGED);
                    }
                }
                Ok(value)
            })?;
            if absent > grid.planes {
                return Err(DAMAGED);
            }
            let passes = passes(&mut bits)?;
            let mut width = 3;
            while bits.bit()? == 1 {
                width += 1;
                if width > 24 {
                    return Err(DAMAGED);
                }
            }
            body += bits.bits(width)? as usize;
            if passes > 1 {
                // The second segment holds one pass or two.
                body += bits.bits(width + u32::from(passes > 2))? as usize;
            }
        }
    }
    let end = bits.finish()?.checked_add(body).filter(|end| *end <= data.len());
    end.ok_or(DAMAGED)
}

/// Number of coding passes (15444-1 Table B.4): cleanup, significance propagation, magnitude refinement.
fn passes(bits: &mut Bits) -> Result<u32, Error> {
    if bits.bit()? == 0 {
        return Ok(1);
    }
    if bits.bit()? == 0 {
        return Ok(2);
    }
    match bits.bits(2)? {
        0 => Ok(3),
        _ => Err(Error::Unsupported("coding passes")),
    }
}

/// The precincts of resolution `r`: how many, across and down.
fn precincts(header: &Header, r: u8) -> Result<(u32, u32), Error> {
    let (width, height) = header.resolution(r);
    let &(x, y) = header.precincts.get(usize::from(r)).ok_or(DAMAGED)?;
    Ok((width.div_ceil(1 << x), height.div_ceil(1 << y)))
}

/// The code-block grids of precinct `(px, py)` of resolution `r`, one a subband.
fn grids(header: &Header, component: usize, r: u8, px: u32, py: u32) -> Result<Vec<Grid>, Error> {
    let (width, height) = header.resolution(r);
    let &(mut log_x, mut log_y) = header.precincts.get(usize::from(r)).ok_or(DAMAGED)?;
    let planes = header.planes.get(component).ok_or(DAMAGED)?;
    // Sides of LL, or of HL, LH and HH: the high half of an odd side is the smaller one.
    let bands: Vec<(u32, u32)> = if r == 0 {
        vec![(width, height)]
    } else {
        (log_x, log_y) = (log_x - 1, log_y - 1);
        vec![(width / 2, height.div_ceil(2)), (width.div_ceil(2), height / 2), (width / 2, height / 2)]
    };
    let blocks = |side: u32, precinct: u32, log: u8, block: u8| {
        let from = u64::from(precinct) << log;
        let to = ((u64::from(precinct) + 1) << log).min(u64::from(side));
        u32::try_from(to.saturating_sub(from).div_ceil(1 << block.min(log))).unwrap_or(u32::MAX)
    };
    let first = if r == 0 { 0 } else { 3 * usize::from(r) - 2 };
    bands
        .into_iter()
        .enumerate()
        .map(|(band, (width, height))| {
            Ok(Grid {
                width: blocks(width, px, log_x, header.block.0),
                height: blocks(height, py, log_y, header.block.1),
                planes: u32::from(*planes.get(first + band).ok_or(DAMAGED)?),
            })
        })
        .collect()
}

/// Resolution, component and precinct of each packet, in the order of the codestream.
fn order(header: &Header) -> Result<Vec<(u8, usize, u32, u32)>, Error> {
    let components = usize::from(header.components);
    let resolutions: Vec<(u8, (u32, u32))> =
        (0..=header.levels).map(|r| Ok((r, precincts(header, r)?))).collect::<Result<_, Error>>()?;
    let count = resolutions.iter().fold(0usize, |sum, (_, (x, y))| {
        sum.saturating_add((*x as usize).saturating_mul(*y as usize).saturating_mul(components))
    });
    if count > MAX_PACKETS {
        return Err(Error::TooLarge);
    }
    let mut packets = Vec::with_capacity(count);
    let grid = |(x, y): (u32, u32)| (0..y).flat_map(move |py| (0..x).map(move |px| (px, py)));
    match header.progression {
        Progression::Resolution => {
            for (r, size) in resolutions {
                packets.extend((0..components).flat_map(|c| grid(size).map(move |(x, y)| (r, c, x, y))));
            }
        }
        Progression::Rpcl => {
            for (r, size) in resolutions {
                packets.extend(grid(size).flat_map(|(x, y)| (0..components).map(move |c| (r, c, x, y))));
            }
        }
        Progression::Component => {
            if resolutions.iter().any(|(_, size)| *size != (1, 1)) {
                return Err(Error::Unsupported("precincts in this progression"));
            }
            packets.extend((0..components).flat_map(|c| (0..=header.levels).map(move |r| (r, c, 0, 0))));
        }
    }
    Ok(packets)
}

/// Where the last packet of each resolution ends, coarsest first: for each resolution that is there with all before
/// it. Checks every packet on the way.
pub(crate) fn resolution_ends(codestream: &[u8], header: &Header, parts: &[TilePart]) -> Result<Vec<usize>, Error> {
    let packets = order(header)?;
    let mut left = vec![0usize; usize::from(header.levels) + 1];
    for (r, ..) in &packets {
        if let Some(count) = left.get_mut(usize::from(*r)) {
            *count += 1;
        }
    }
    let mut ends = vec![0usize; left.len()];
    let mut parts = parts.iter();
    let mut part = parts.next().copied();
    let mut at = part.map_or(0, |p| p.data);
    for (r, component, px, py) in packets {
        while let Some(current) = part.filter(|p| at >= p.end) {
            part = parts.next().copied();
            at = part.map_or(current.end, |p| p.data);
        }
        let Some(current) = part else { break };
        let data = codestream.get(at..current.end).ok_or(DAMAGED)?;
        at += packet(data, &grids(header, component, r, px, py)?)?;
        if let (Some(count), Some(end)) = (left.get_mut(usize::from(r)), ends.get_mut(usize::from(r))) {
            *count -= 1;
            *end = at;
        }
    }
    let whole = left.iter().take_while(|count| **count == 0).count();
    let mut furthest = 0;
    Ok(ends
        .into_iter()
        .take(whole)
        .map(|end| {
            furthest = furthest.max(end);
            furthest
        })
        .collect())
}
