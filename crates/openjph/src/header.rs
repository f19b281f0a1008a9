//! The main header of an HTJ2K codestream (ISO/IEC 15444-1 Annex A, 15444-15 Annex A), read strictly: what the
//! library would guess at is refused.

use crate::Error;

const DAMAGED: Error = Error::Damaged("codestream header");

/// Decomposition levels that the standard allows.
const MAX_LEVELS: u8 = 32;
/// Most samples of an image: 64 Mi, as for every codec. Without a bound a header of a few bytes would ask for as many
/// code-blocks and as much memory as it likes.
const MAX_SAMPLES: u64 = 64 << 20;
/// Most bit planes of a subband that the library's 32-bit arithmetic holds.
const MAX_PLANES: u8 = 30;

/// Order of packets (15444-1 Table A.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progression {
    /// LRCP and RLCP are alike with one layer.
    Resolution,
    Rpcl,
    /// PCRL and CPRL are alike where each resolution has one precinct.
    Component,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub width: u32,
    pub height: u32,
    pub components: u16,
    pub depth: u8,
    pub signed: bool,
    pub levels: u8,
    pub reversible: bool,
    pub color_transform: bool,
    pub progression: Progression,
    /// Logarithms of a code-block's width and height.
    pub block: (u8, u8),
    /// Logarithms of the precincts' width and height, one a resolution.
    pub precincts: Vec<(u8, u8)>,
    /// Magnitude bit planes: by component, then LL and each resolution's HL, LH, HH.
    pub planes: Vec<Vec<u8>>,
    /// Where the first tile-part begins.
    pub end: usize,
}

pub(crate) fn word(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

pub(crate) fn long(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// Quantisation of one component, or of all (QCD, QCC): whether it is reversible, and the planes by subband.
fn planes(body: &[u8]) -> Result<(bool, Vec<u8>), Error> {
    let (&style, steps) = body.split_first().ok_or(DAMAGED)?;
    let guard = style >> 5;
    let (reversible, exponents): (bool, Vec<u8>) = match style & 0x1f {
        0 => (true, steps.iter().map(|step| step >> 3).collect()),
        2 => (false, steps.chunks_exact(2).filter_map(|step| step.first()).map(|high| high >> 3).collect()),
        _ => return Err(Error::Unsupported("derived quantization")),
    };
    let planes: Vec<u8> = exponents.iter().map(|e| (guard + e).saturating_sub(1)).collect();
    if planes.iter().any(|p| *p > MAX_PLANES) {
        return Err(Error::Unsupported("dynamic range"));
    }
    Ok((reversible, planes))
}

impl Header {
    pub fn read(data: &[u8]) -> Result<Self, Error> {
        if word(data, 0) != Some(0xff4f) || word(data, 2) != Some(0xff51) {
            return Err(DAMAGED);
        }
        let mut at = 2;
        let mut header: Option<Header> = None;
        let mut coded = false;
        let mut default: Option<(bool, Vec<u8>)> = None;
        let mut own: Vec<Option<(bool, Vec<u8>)>> = Vec::new();
        loop {
            let marker = word(data, at).ok_or(DAMAGED)?;
            if marker == 0xff90 {
                break;
            }
            let length = usize::from(word(data, at + 2).ok_or(DAMAGED)?);
            let body = data.get(at + 4..at + 2 + length).ok_or(DAMAGED)?;
            match (marker, &mut header) {
                (0xff51, None) => {
                    let found = Self::size(body)?;
                    own = vec![None; usize::from(found.components)];
                    header = Some(found);
                }
                // CAP: Part 15 and no other part.
                (0xff50, Some(_)) if body.len() == 6 && long(body, 0) == Some(0x0002_0000) => {}
                (0xff50, Some(_)) => return Err(Error::Unsupported("capabilities")),
                (0xff52, Some(header)) if !coded => {
                    header.coding(body)?;
                    coded = true;
                }
                (0xff5c, Some(_)) if default.is_none() => default = Some(planes(body)?),
                (0xff5d, Some(_)) => {
                    let (&component, rest) = body.split_first().ok_or(DAMAGED)?;
                    let slot = own.get_mut(usize::from(component)).filter(|slot| slot.is_none()).ok_or(DAMAGED)?;
                    *slot = Some(planes(rest)?);
                }
                // PRF, CPF, TLM, PLM, CRG, COM tell nothing that is needed.
                (0xff56 | 0xff59 | 0xff55 | 0xff57 | 0xff63 | 0xff64, Some(_)) => {}
                (0xff51 | 0xff52 | 0xff5c, _) => return Err(DAMAGED),
                _ => return Err(Error::Unsupported("marker segment")),
            }
            at += 2 + length;
        }
        let mut header = header.filter(|_| coded).ok_or(DAMAGED)?;
        let (_, default) = default.filter(|(exact, _)| *exact == header.reversible).ok_or(DAMAGED)?;
        for own in own {
            let of_component = match own {
                Some((exact, planes)) if exact == header.reversible => planes,
                Some(_) => return Err(DAMAGED),
                None => default.clone(),
            };
            header.planes.push(of_component);
        }
        let bands = 1 + 3 * usize::from(header.levels);
        if default.len() != bands || header.planes.iter().any(|planes| planes.len() != bands) {
            return Err(DAMAGED);
        }
        header.end = at;
        Ok(header)
    }

    /// SIZ (15444-1 A.5.1): one tile at the origin, all components alike.
    fn size(body: &[u8]) -> Result<Self, Error> {
        let number = |at| long(body, at).ok_or(DAMAGED);
        let rsiz = word(body, 0).ok_or(DAMAGED)?;
        if rsiz & 0x4000 == 0 {
            return Err(Error::Unsupported("not HTJ2K"));
        }
        let (width, height) = (number(2)?, number(6)?);
        let (tile_width, tile_height) = (number(18)?, number(22)?);
        let components = word(body, 34).ok_or(DAMAGED)?;
        if width == 0 || height == 0 || tile_width == 0 || tile_height == 0 || components == 0 {
            return Err(DAMAGED);
        }
        if [10, 14, 26, 30].iter().any(|at| long(body, *at) != Some(0)) {
            return Err(Error::Unsupported("image offset"));
        }
        if tile_width < width || tile_height < height {
            return Err(Error::Unsupported("tiles"));
        }
        // The library adds tile and image sizes in 32 bits.
        if [width, height, tile_width, tile_height].iter().any(|n| *n > 1 << 30) {
            return Err(Error::TooLarge);
        }
        if !matches!(components, 1 | 3) {
            return Err(Error::Unsupported("number of components"));
        }
        if u64::from(width) * u64::from(height) * u64::from(components) > MAX_SAMPLES {
            return Err(Error::TooLarge);
        }
        let specs = body.get(36..).filter(|s| s.len() == 3 * usize::from(components)).ok_or(DAMAGED)?;
        let first = *specs.first().ok_or(DAMAGED)?;
        for spec in specs.chunks_exact(3) {
            let &[size, x, y] = spec else { return Err(DAMAGED) };
            if (x, y) != (1, 1) || size != first {
                return Err(Error::Unsupported("components of several kinds"));
            }
        }
        let depth = (first & 0x7f) + 1;
        if depth > 16 {
            return Err(Error::Unsupported("more than 16 bits"));
        }
        Ok(Self {
            width,
            height,
            components,
            depth,
            signed: first & 0x80 != 0,
            levels: 0,
            reversible: true,
            color_transform: false,
            progression: Progression::Rpcl,
            block: (6, 6),
            precincts: Vec::new(),
            planes: Vec::new(),
            end: 0,
        })
    }

    /// COD (15444-1 A.6.1).
    fn coding(&mut self, body: &[u8]) -> Result<(), Error> {
        let &[
            style,
            order,
            layers_high,
            layers_low,
            transform,
            levels,
            width,
            height,
            block_style,
            wavelet,
            ref sizes @ ..,
        ] = body
        else {
            return Err(DAMAGED);
        };
        if style & !1 != 0 {
            return Err(Error::Unsupported("SOP or EPH markers"));
        }
        if (layers_high, layers_low) != (0, 1) {
            return Err(Error::Unsupported("layers"));
        }
        if block_style & !0x08 != 0x40 {
            return Err(Error::Unsupported("code-block style"));
        }
        if levels > MAX_LEVELS || width > 8 || height > 8 || width + height > 8 || wavelet > 1 || transform > 1 {
            return Err(DAMAGED);
        }
        self.color_transform = transform == 1;
        if self.color_transform && self.components != 3 {
            return Err(DAMAGED);
        }
        // A level that halves nothing would make a resolution without samples, which readers take differently.
        if levels > 0 && self.width.max(self.height) <= 1u32.checked_shl(u32::from(levels) - 1).unwrap_or(u32::MAX) {
            return Err(Error::Unsupported("empty resolutions"));
        }
        self.levels = levels;
        self.block = (width + 2, height + 2);
        self.reversible = wavelet == 1;
        self.precincts = if style & 1 == 1 {
            if sizes.len() != usize::from(levels) + 1 {
                return Err(DAMAGED);
            }
            sizes.iter().map(|s| (s & 15, s >> 4)).collect()
        } else if sizes.is_empty() {
            vec![(15, 15); usize::from(levels) + 1]
        } else {
            return Err(DAMAGED);
        };
        for (r, (x, y)) in self.precincts.iter().enumerate() {
            if r > 0 && (*x == 0 || *y == 0) {
                return Err(DAMAGED);
            }
            // The library keeps four trees of the largest precinct's code-blocks.
            if x.saturating_sub(self.block.0).max(y.saturating_sub(self.block.1)) > 11 {
                return Err(Error::Unsupported("tiny code-blocks"));
            }
        }
        self.progression = match order {
            0 | 1 => Progression::Resolution,
            2 => Progression::Rpcl,
            3 | 4 => Progression::Component,
            _ => return Err(DAMAGED),
        };
        Ok(())
    }

    /// Width and height of resolution `r`, 0 being the coarsest (15444-1 B.5).
    pub fn resolution(&self, r: u8) -> (u32, u32) {
        let shift = u32::from(self.levels - r.min(self.levels));
        let side = |n: u32| u32::try_from(u64::from(n).div_ceil(1 << shift)).unwrap_or(u32::MAX);
        (side(self.width), side(self.height))
    }
}
