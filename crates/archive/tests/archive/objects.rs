//! Generated objects and an archive to put them into.

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::{
    EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN,
};
use mingying_archive::{
    Archive, ArchiveError, DeleteStudies, FileMeta, Ingested, ManageQuarantine, Origin, ReadStudies, Settings,
    StoreStudy,
};
use mingying_blob::{Blobs, Cipher, Keys, MasterKey};
use mingying_db::Db;
use mingying_kernel::{Ctx, OrgId, Permit, Role, SharedClock};
use mingying_testkit::{clock, ctx_as};
use std::cell::RefCell;
use std::path::Path;

pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const BIG: &str = "1.2.840.10008.1.2.2";
pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

pub struct Slice {
    pub study: String,
    pub series: String,
    pub sop: String,
    pub object: InMemDicomObject,
}

pub fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) {
    let value: PrimitiveValue = value.into();
    object.put(DataElement::new(tag, vr, value));
}

/// A small CT slice: study `s`, series `e`, instance `i`.
pub fn slice(s: u32, e: u32, i: u32) -> Slice {
    let (study, series, sop) = (format!("1.2.3.{s}"), format!("1.2.3.{s}.{e}"), format!("1.2.3.{s}.{e}.{i}"));
    let mut o = InMemDicomObject::new_empty();
    put(&mut o, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    put(&mut o, tags::SOP_CLASS_UID, VR::UI, CT);
    put(&mut o, tags::SOP_INSTANCE_UID, VR::UI, &*sop);
    put(&mut o, tags::STUDY_DATE, VR::DA, format!("202603{:02}", 1 + s % 28));
    put(&mut o, tags::STUDY_TIME, VR::TM, "081530");
    put(&mut o, tags::ACCESSION_NUMBER, VR::SH, format!("ACC{s}"));
    put(&mut o, tags::MODALITY, VR::CS, if e.is_multiple_of(2) { "SR" } else { "CT" });
    put(&mut o, tags::STUDY_DESCRIPTION, VR::LO, "胸部平扫");
    put(&mut o, tags::SERIES_DESCRIPTION, VR::LO, "Lung 1.0");
    put(&mut o, tags::PATIENT_NAME, VR::PN, "Zhang^San=张^三");
    put(&mut o, tags::PATIENT_ID, VR::LO, format!("P{s}"));
    put(&mut o, tags::PATIENT_BIRTH_DATE, VR::DA, "19800102");
    put(&mut o, tags::PATIENT_SEX, VR::CS, "M");
    put(&mut o, tags::BODY_PART_EXAMINED, VR::CS, "CHEST");
    put(&mut o, tags::STUDY_INSTANCE_UID, VR::UI, &*study);
    put(&mut o, tags::SERIES_INSTANCE_UID, VR::UI, &*series);
    put(&mut o, tags::SERIES_NUMBER, VR::IS, e.to_string());
    put(&mut o, tags::INSTANCE_NUMBER, VR::IS, i.to_string());
    let mut request = InMemDicomObject::new_empty();
    put(&mut request, tags::SCHEDULED_PROCEDURE_STEP_ID, VR::SH, format!("SPS{s}"));
    put(&mut request, tags::REQUESTED_PROCEDURE_ID, VR::SH, format!("RP{s}"));
    o.put(DataElement::new(tags::REQUEST_ATTRIBUTES_SEQUENCE, VR::SQ, DataSetSequence::from(vec![request])));
    put(&mut o, tags::SAMPLES_PER_PIXEL, VR::US, 1_u16);
    put(&mut o, tags::ROWS, VR::US, 8_u16);
    put(&mut o, tags::COLUMNS, VR::US, 8_u16);
    put(&mut o, tags::BITS_ALLOCATED, VR::US, 16_u16);
    put(&mut o, tags::PIXEL_DATA, VR::OW, pixels(s * 100 + i, 64));
    Slice { study, series, sop, object: o }
}

pub fn pixels(seed: u32, n: u32) -> PrimitiveValue {
    PrimitiveValue::U16((0..n).map(|k| (k.wrapping_mul(31).wrapping_add(seed * 7) % 4096) as u16).collect())
}

impl Slice {
    pub fn meta(&self, transfer_syntax: &str) -> FileMeta {
        FileMeta {
            sop_class: CT.to_owned(),
            sop_instance: self.sop.clone(),
            transfer_syntax: transfer_syntax.to_owned(),
        }
    }

    pub fn bytes(&self, transfer_syntax: &str) -> Vec<u8> {
        let mut out = Vec::new();
        match transfer_syntax {
            IMPLICIT => self.object.write_dataset_with_ts(&mut out, &IMPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap(),
            BIG => self.object.write_dataset_with_ts(&mut out, &EXPLICIT_VR_BIG_ENDIAN.erased()).unwrap(),
            _ => self.object.write_dataset_with_ts(&mut out, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap(),
        }
        if transfer_syntax == DEFLATED {
            use std::io::Write as _;
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&out).unwrap();
            out = encoder.finish().unwrap();
        }
        out
    }

    /// Replaces the pixels by encapsulated fragments.
    pub fn encapsulate(mut self, offsets: Vec<u32>, fragments: Vec<Vec<u8>>, frames: u32) -> Self {
        put(&mut self.object, tags::NUMBER_OF_FRAMES, VR::IS, frames.to_string());
        let value = PixelFragmentSequence::new(offsets, fragments);
        self.object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, value));
        self
    }
}

/// An archive with a context that may do everything.
pub struct Bench {
    pub archive: Archive,
    pub db: Db,
    pub ctx: Ctx,
}

thread_local! {
    static KEYS: RefCell<Keys> = RefCell::default();
}

/// From here on the running test encrypts what it stores, with a key of its own.
pub fn encrypt() {
    encrypt_with(with_key(&new_key(), &[]));
}

pub fn encrypt_with(keys: Keys) {
    KEYS.set(keys);
}

pub fn new_key() -> MasterKey {
    MasterKey::random().unwrap()
}

pub fn with_key(key: &MasterKey, older: &[&MasterKey]) -> Keys {
    Keys::new(Some((Cipher::Aes256Gcm, key.clone())), older.iter().map(|key| (*key).clone()))
}

/// How the running test stores.
pub fn stored() -> mingying_blob::Settings {
    mingying_blob::Settings { reserve: 0, keys: KEYS.with_borrow(Clone::clone), ..Default::default() }
}

/// As `on_both`, with plain packs and with encrypted ones.
macro_rules! on_both_and_encrypted {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident : Db) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($db: mingying_db::Db) $body

            mingying_testkit::on_both! {
                $(#[$meta])*
                async fn plain(db: Db) {
                    super::body(db).await;
                }
                $(#[$meta])*
                async fn encrypted(db: Db) {
                    crate::objects::encrypt();
                    super::body(db).await;
                }
            }
        }
    )+};
}
pub(crate) use on_both_and_encrypted;

pub async fn open(db: Db, dir: &Path) -> Bench {
    let blobs = Blobs::open(dir, stored()).unwrap();
    open_on(db, blobs).await.unwrap()
}

pub async fn open_on(db: Db, blobs: Blobs) -> Result<Bench, ArchiveError> {
    open_with(db, blobs, clock(), Settings::new(org())).await
}

pub async fn open_with(db: Db, blobs: Blobs, clock: SharedClock, settings: Settings) -> Result<Bench, ArchiveError> {
    let ctx = ctx_as(Role::Machine, &clock);
    let archive = Archive::open(db.clone(), blobs, clock, settings).await?;
    Ok(Bench { archive, db, ctx })
}

pub fn org() -> OrgId {
    "01890000-0000-7000-8000-000000000001".parse().unwrap()
}

impl Bench {
    pub fn store(&self) -> Permit<StoreStudy> {
        self.ctx.permit().unwrap()
    }

    pub fn read(&self) -> Permit<ReadStudies> {
        self.ctx.permit().unwrap()
    }

    pub fn delete(&self) -> Permit<DeleteStudies> {
        self.ctx.permit().unwrap()
    }

    pub fn manage(&self) -> Permit<ManageQuarantine> {
        self.ctx.permit().unwrap()
    }

    pub async fn send_bytes(&self, meta: FileMeta, bytes: &[u8]) -> Result<Ingested, ArchiveError> {
        let mut receiving = self.archive.receive(Origin::aet("CT01"), meta);
        for piece in bytes.chunks(200) {
            receiving.write(piece).await?;
        }
        receiving.finish(&self.store()).await
    }

    pub async fn send_as(&self, slice: &Slice, transfer_syntax: &str) -> Result<Ingested, ArchiveError> {
        self.send_bytes(slice.meta(transfer_syntax), &slice.bytes(transfer_syntax)).await
    }

    pub async fn send(&self, slice: &Slice) -> Result<Ingested, ArchiveError> {
        self.send_as(slice, EXPLICIT).await
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        self.db.query_one(sql, mingying_db::params![]).await.unwrap().at(0).unwrap()
    }
}
