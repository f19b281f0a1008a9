//! Codes that scanners read, as SVG.

use crate::PrintError;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use std::fmt::Write as _;

/// A QR code (ISO/IEC 18004), error correction M, with its quiet zone.
pub fn qr_svg(text: &str) -> Result<String, PrintError> {
    let code =
        QrCode::with_error_correction_level(text.as_bytes(), EcLevel::M).map_err(|_| PrintError::Code("QR code"))?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(200, 200).quiet_zone(true).build())
}

/// Module widths of Code 128 (ISO/IEC 15417, table 1): bar, space, bar, space, bar, space of symbols 0 to 105.
#[rustfmt::skip]
const WIDTHS: [&str; 106] = [
    "212222", "222122", "222221", "121223", "121322", "131222", "122213", "122312", "132212", "221213",
    "221312", "231212", "112232", "122132", "122231", "113222", "123122", "123221", "223211", "221132",
    "221231", "213212", "223112", "312131", "311222", "321122", "321221", "312212", "322112", "322211",
    "212123", "212321", "232121", "111323", "131123", "131321", "112313", "132113", "132311", "211313",
    "231113", "231311", "112133", "112331", "132131", "113123", "113321", "133121", "313121", "211331",
    "231131", "213113", "213311", "213131", "311123", "311321", "331121", "312113", "312311", "332111",
    "314111", "221411", "431111", "111224", "111422", "121124", "121421", "141122", "141221", "112214",
    "112412", "122114", "122411", "142112", "142211", "241211", "221114", "413111", "241112", "134111",
    "111242", "121142", "121241", "114212", "124112", "124211", "411212", "421112", "421211", "212141",
    "214121", "412121", "111143", "111341", "131141", "114113", "114311", "411113", "411311", "113141",
    "114131", "311141", "411131", "211412", "211214", "211232",
];
const START_B: usize = 104;
/// The stop symbol has seven elements.
const STOP: &str = "2331112";
/// Blank modules that a scanner needs on each side.
const QUIET: u32 = 10;

/// A Code 128 barcode, code set B: printable ASCII only, as accession numbers are on labels.
pub fn code128_svg(text: &str) -> Result<String, PrintError> {
    let refused = || PrintError::Code("Code 128 barcode");
    if text.is_empty() || text.len() > 48 || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(refused());
    }
    let values: Vec<usize> = text.bytes().map(|b| usize::from(b - 0x20)).collect();
    let check = values.iter().enumerate().fold(START_B, |sum, (i, value)| sum + (i + 1) * value) % 103;
    let symbols = std::iter::once(START_B).chain(values).chain([check]);
    let mut widths = String::new();
    for symbol in symbols {
        widths.push_str(WIDTHS.get(symbol).ok_or_else(refused)?);
    }
    widths.push_str(STOP);

    let mut bars = String::new();
    let mut x = QUIET;
    for (i, width) in widths.bytes().map(|b| u32::from(b - b'0')).enumerate() {
        if i % 2 == 0 {
            let _ = write!(bars, "M{x} 0h{width}v40h-{width}z");
        }
        x += width;
    }
    let total = x + QUIET;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total} 40\" width=\"{total}\" height=\"40\" \
         shape-rendering=\"crispEdges\"><rect width=\"{total}\" height=\"40\" fill=\"#fff\"/><path d=\"{bars}\" \
         fill=\"#000\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code128_symbol_is_eleven_modules_wide() {
        for widths in WIDTHS {
            assert_eq!(widths.bytes().map(|b| u32::from(b - b'0')).sum::<u32>(), 11, "{widths}");
        }
        let distinct: std::collections::BTreeSet<_> = WIDTHS.iter().collect();
        assert_eq!(distinct.len(), WIDTHS.len());
    }

    #[test]
    fn codes_refuse_what_they_cannot_carry() {
        assert!(code128_svg("影像").is_err());
        assert!(code128_svg("").is_err());
        assert!(qr_svg(&"x".repeat(5000)).is_err());
        assert!(code128_svg("A20260302000001").is_ok());
    }
}
