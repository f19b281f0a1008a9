//! Finds fonts once, keeps their descriptions, and loads a file only when a page needs it.

use crate::PrintError;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use typst::foundations::Bytes;
use typst::text::{Font, FontBook, FontInfo};
use typst::utils::LazyHash;

/// Characters without which a Chinese report cannot be set.
const PROBE: &str = "影像所见诊断意见审核";

/// Families in the order of preference; the simplified Chinese forms, since one code point looks different in each
/// country's face of these fonts.
const SANS: [&str; 5] =
    ["Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Zen Hei"];
const SERIF: [&str; 4] = ["Noto Serif CJK SC", "Noto Serif SC", "Source Han Serif SC", "Source Han Serif CN"];

/// Room behind the largest file, so that reading to its end does not make the buffer grow.
const READ_AHEAD: usize = 64 << 10;

/// Folders below the configured ones; deeper trees are not fonts.
const DEPTH: u32 = 6;

pub(crate) struct FontIndex {
    pub book: LazyHash<FontBook>,
    places: Vec<Place>,
    /// Bytes of the font files in use. A collection of ten faces is read once.
    files: Mutex<BTreeMap<PathBuf, Bytes>>,
    /// Loaded faces by index into the book.
    loaded: Mutex<BTreeMap<usize, Option<Font>>>,
}

struct Place {
    path: PathBuf,
    index: u32,
}

/// The families a document uses.
pub(crate) struct Families {
    pub sans: Vec<String>,
    pub serif: Vec<String>,
}

impl FontIndex {
    pub(crate) fn scan(dirs: &[PathBuf]) -> Self {
        let mut paths = Vec::new();
        for dir in dirs {
            collect(dir, DEPTH, &mut paths);
        }
        let mut book = FontBook::new();
        let mut places = Vec::new();
        // One buffer for all files: some have 20 MB, and what is allocated for each is not given back to the system.
        let largest = paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|file| file.len()).max().unwrap_or(0);
        let mut data = Vec::with_capacity(largest as usize + READ_AHEAD);
        for path in paths {
            data.clear();
            match fs::File::open(&path).and_then(|mut file| file.read_to_end(&mut data)) {
                Ok(_) => {
                    // A face that typst cannot read is skipped, but keeps its number in the collection.
                    for index in 0..faces(&data) {
                        if let Some(info) = FontInfo::new(&data, index) {
                            book.push(info);
                            places.push(Place { path: path.clone(), index });
                        }
                    }
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "font not readable"),
            }
        }
        tracing::info!(faces = places.len(), "fonts indexed");
        Self {
            book: LazyHash::new(book),
            places,
            files: Mutex::new(BTreeMap::new()),
            loaded: Mutex::new(BTreeMap::new()),
        }
    }

    /// The Chinese families to use, or that there are none.
    pub(crate) fn chinese(&self) -> Result<Families, PrintError> {
        let usable = |family: &&str| {
            self.book
                .select_family(&family.to_lowercase())
                .filter_map(|index| self.book.info(index))
                .any(|info| PROBE.chars().all(|c| info.coverage.contains(c as u32)))
        };
        let named = |list: &[&str]| list.iter().filter(|f| usable(f)).map(|f| (*f).to_owned()).collect::<Vec<_>>();
        let (mut sans, mut serif) = (named(&SANS), named(&SERIF));
        if sans.is_empty() && serif.is_empty() {
            // Any font that can do it, for instance a hospital's own.
            let other = (0..self.places.len())
                .filter_map(|index| self.book.info(index))
                .find(|info| PROBE.chars().all(|c| info.coverage.contains(c as u32)))
                .ok_or(PrintError::FontMissing)?;
            sans.push(other.family.clone());
        }
        if serif.is_empty() {
            serif.clone_from(&sans);
        } else {
            let fallback = sans.clone();
            if sans.is_empty() {
                sans.clone_from(&serif);
            }
            serif.extend(fallback);
        }
        Ok(Families { sans, serif })
    }

    /// Whether any indexed face has the character.
    pub(crate) fn covers(&self, c: char) -> bool {
        (0..self.places.len())
            .filter_map(|index| self.book.info(index))
            .any(|info| !info.is_last_resort() && info.coverage.contains(c as u32))
    }

    pub(crate) fn font(&self, index: usize) -> Option<Font> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(font) = loaded.get(&index) {
            return font.clone();
        }
        let font = self.places.get(index).and_then(|place| Font::new(self.bytes(&place.path)?, place.index));
        loaded.insert(index, font.clone());
        font
    }

    /// Gives the memory of the font files back; the next page reads them again.
    pub(crate) fn unload(&self) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    #[cfg(test)]
    pub(crate) fn loaded_files(&self) -> usize {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn bytes(&self, path: &Path) -> Option<Bytes> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = files.get(path) {
            return Some(bytes.clone());
        }
        let bytes = Bytes::new(fs::read(path).ok()?);
        files.insert(path.to_owned(), bytes.clone());
        Some(bytes)
    }
}

/// How many faces a font file holds: a collection says so in its header (ISO/IEC 14496-22, 5.1), any other file is one.
fn faces(data: &[u8]) -> u32 {
    match (data.get(..4), data.get(8..12)) {
        (Some(b"ttcf"), Some(&[a, b, c, d])) => u32::from_be_bytes([a, b, c, d]).min(64),
        _ => 1,
    }
}

fn collect(dir: &Path, depth: u32, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    for path in found {
        if path.is_dir() {
            if depth > 0 {
                collect(&path, depth - 1, paths);
            }
        } else if path
            .extension()
            .is_some_and(|e| ["ttf", "otf", "ttc", "otc"].iter().any(|known| e.eq_ignore_ascii_case(known)))
            && !paths.contains(&path)
        {
            paths.push(path);
        }
    }
}
