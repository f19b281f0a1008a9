//! A listener on a free port with an archive of its own, and the clients that call it.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use mingying_access::RolePolicy;
use mingying_archive::{Archive, InstanceRef, ReadStudies};
use mingying_blob::Blobs;
use mingying_db::Db;
use mingying_dicom::codec::{self, PixelDescription};
use mingying_dimse::{Dimse, ManagePeers, NewPeer, PeerKind, Settings, add_peer};
use mingying_kernel::{Actor, ActorKind, AeTitle, Ctx, OrgId, Permit, Role, SharedClock};
use mingying_testkit::TestDb;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";

pub struct Station {
    pub port: u16,
    pub db: Db,
    pub archive: Archive,
    pub clock: SharedClock,
    pub dimse: Dimse,
    pub stop: CancellationToken,
    pub serving: tokio::task::JoinHandle<()>,
    test: TestDb,
}

pub fn settings() -> Settings {
    let mut settings = Settings::new(AeTitle::parse("MINGYING").unwrap());
    settings.accept_any_from_loopback = true;
    settings.artim = Duration::from_secs(2);
    settings.stall = Duration::from_secs(5);
    settings
}

impl Station {
    pub async fn start() -> Self {
        Self::start_with(settings(), None).await
    }

    pub async fn start_with(settings: Settings, tls: Option<TlsAcceptor>) -> Self {
        Self::start_on(settings, tls, mingying_blob::Settings::default()).await
    }

    pub async fn start_on(settings: Settings, tls: Option<TlsAcceptor>, disk: mingying_blob::Settings) -> Self {
        let test = mingying_testkit::sqlite().await;
        let clock: SharedClock = mingying_testkit::clock();
        let blobs = Blobs::open(&test.dir.path().join("blobs"), disk).unwrap();
        let org = OrgId::new();
        let archive =
            Archive::open(test.db.clone(), blobs, clock.clone(), mingying_archive::Settings::new(org)).await.unwrap();
        let mut dimse = Dimse::new(settings, test.db.clone(), archive.clone(), Arc::new(RolePolicy), clock.clone());
        if let Some(tls) = tls {
            dimse = dimse.with_tls(tls);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        let serving = tokio::spawn(dimse.clone().serve(listener, stop.clone()));
        Self { port, db: test.db.clone(), archive, clock, dimse, stop, serving, test }
    }

    /// The organization that owns what happens here.
    pub async fn put_org(&self) -> OrgId {
        let org =
            mingying_access::Org { id: OrgId::new(), name: "明影医院".to_owned(), name_en: "Mingying".to_owned() };
        let mut tx = self.db.begin().await.unwrap();
        mingying_access::put_org(&mut tx, &org).await.unwrap();
        tx.commit().await.unwrap();
        org.id
    }

    pub fn dir(&self) -> &Path {
        self.test.dir.path()
    }

    pub fn ctx(&self, role: Role) -> Ctx {
        let actor =
            Actor { kind: ActorKind::User, id: "tester".to_owned(), name: String::new(), roles: vec![role], org: None };
        Ctx::new(actor, "test", Arc::new(RolePolicy), self.clock.clone())
    }

    pub fn may_read(&self) -> Permit<ReadStudies> {
        self.ctx(Role::Radiologist).permit().unwrap()
    }

    pub fn may_manage(&self) -> Permit<ManagePeers> {
        self.ctx(Role::Engineer).permit().unwrap()
    }

    pub async fn add_peer(&self, aet: &str, port: u16, charset: &str) {
        let new = NewPeer::parse(aet, "127.0.0.1", port, PeerKind::Other, charset).unwrap();
        add_peer(&self.db, &self.may_manage(), new).await.unwrap();
    }

    /// Runs a DCMTK tool against this listener: options, then peer and port, then the rest.
    pub async fn dcmtk(&self, tool: &str, options: &[&str], rest: &[&str]) -> Output {
        Command::new(format!("/usr/bin/{tool}"))
            .args(options)
            .args(["127.0.0.1", &self.port.to_string()])
            .args(rest)
            .env("TCP_NODELAY", "1")
            .current_dir(self.dir())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap()
    }

    /// Runs a script of `crates/testkit/python` with host, port and titles, then `rest`; its output.
    pub async fn python(&self, script: &str, calling: &str, rest: &[&str]) -> Vec<String> {
        let home = std::env::var("HOME").unwrap();
        let python =
            std::env::var("MINGYING_TEST_PYTHON").unwrap_or_else(|_| format!("{home}/.cache/mingying/venv/bin/python"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/python").join(script);
        let output = Command::new(python)
            .arg(script)
            .args(["127.0.0.1", &self.port.to_string(), "MINGYING", calling])
            .args(rest)
            .env("PYTHONIOENCODING", "utf-8")
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines().map(str::to_owned).collect()
    }

    /// Stores files with storescu and expects success.
    pub async fn store(&self, calling: &str, files: &[&Path]) {
        let files: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
        let output = self.dcmtk("storescu", &["-aet", calling, "-aec", "MINGYING"], &files).await;
        assert!(output.status.success(), "{}", said(&output));
    }

    /// Puts many images into the archive without a network: `template` is the file of `image`, whose number has as many
    /// digits as all that follow it.
    pub async fn take_many(&self, template: &[u8], image: &Image, many: u32) {
        use futures::StreamExt;
        let permit = self.ctx(Role::Machine).permit::<mingying_archive::StoreStudy>().unwrap();
        let places: Vec<usize> = template
            .windows(image.sop.len())
            .enumerate()
            .filter(|(_, w)| *w == image.sop.as_bytes())
            .map(|(at, _)| at)
            .collect();
        let taken = futures::stream::iter(0..many).map(|n| {
            let mut file = template.to_vec();
            let uid = format!("{}.{}", image.series, image.number + n);
            for at in &places {
                file[*at..*at + uid.len()].copy_from_slice(uid.as_bytes());
            }
            let mut receiving = self.archive.receive_part10(mingying_archive::Origin::new("test"));
            let permit = &permit;
            async move {
                receiving.write(&file).await.unwrap();
                receiving.finish(permit).await.unwrap();
            }
        });
        taken.buffer_unordered(256).collect::<Vec<()>>().await;
    }

    pub async fn instances(&self, study: &str) -> Vec<InstanceRef> {
        self.archive.instances_of(&self.may_read(), study, None, None).await.unwrap()
    }

    /// Number of audit rows with this action and outcome.
    pub async fn audited(&self, action: &str, outcome: &str) -> i64 {
        self.db
            .query_one(
                "SELECT COUNT(*) AS n FROM audit WHERE action = $1 AND outcome = $2",
                mingying_db::params![action, outcome],
            )
            .await
            .unwrap()
            .get("n")
            .unwrap()
    }
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A small CT image.
#[derive(Clone)]
pub struct Image {
    pub patient_name: &'static str,
    pub patient_id: &'static str,
    pub accession: &'static str,
    pub study: String,
    pub series: String,
    pub sop: String,
    pub number: u32,
    pub charset: &'static str,
    pub syntax: &'static str,
    pub bytes: usize,
    /// Its frame is no codestream.
    pub damaged: bool,
}

impl Image {
    pub fn new(study: u32, series: u32, number: u32) -> Self {
        Self {
            patient_name: "ZHANG^SAN=张^三",
            patient_id: "P1001",
            accession: "A2026030001",
            study: format!("1.2.826.0.1.3680043.9999.{study}"),
            series: format!("1.2.826.0.1.3680043.9999.{study}.{series}"),
            sop: format!("1.2.826.0.1.3680043.9999.{study}.{series}.{number}"),
            number,
            charset: "ISO_IR 192",
            syntax: EXPLICIT,
            bytes: 2048,
            damaged: false,
        }
    }

    fn object(&self) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        let mut text = |tag, vr, value: &str| {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        };
        text(tags::SPECIFIC_CHARACTER_SET, VR::CS, self.charset);
        text(tags::SOP_CLASS_UID, VR::UI, CT);
        text(tags::SOP_INSTANCE_UID, VR::UI, &self.sop);
        text(tags::STUDY_DATE, VR::DA, "20260302");
        text(tags::STUDY_TIME, VR::TM, "081500");
        text(tags::ACCESSION_NUMBER, VR::SH, self.accession);
        text(tags::MODALITY, VR::CS, "CT");
        text(tags::STUDY_DESCRIPTION, VR::LO, "CHEST");
        text(tags::SERIES_DESCRIPTION, VR::LO, "LUNG");
        text(tags::PATIENT_NAME, VR::PN, self.patient_name);
        text(tags::PATIENT_ID, VR::LO, self.patient_id);
        text(tags::PATIENT_SEX, VR::CS, "M");
        text(tags::STUDY_INSTANCE_UID, VR::UI, &self.study);
        text(tags::SERIES_INSTANCE_UID, VR::UI, &self.series);
        text(tags::STUDY_ID, VR::SH, "1");
        text(tags::SERIES_NUMBER, VR::IS, "1");
        text(tags::INSTANCE_NUMBER, VR::IS, &self.number.to_string());
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2");
        let rows = (self.bytes / 2 / 16) as u16;
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, rows),
            (tags::COLUMNS, 16),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::HIGH_BIT, 15),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let pixels: Vec<u8> = (0..usize::from(rows) * 32).map(|i| (i as u32 * 7 + self.number) as u8).collect();
        if self.syntax == JPEG_LS {
            let image = PixelDescription::read(&object).unwrap().unwrap();
            let frame = if self.damaged { pixels } else { codec::encode(JPEG_LS, &pixels, &image).unwrap().bytes };
            let fragments = dicom_core::value::PixelFragmentSequence::new_fragments(vec![frame]);
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, fragments));
        } else {
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(pixels)));
        }
        object
    }

    /// Writes the Part 10 file.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join(format!("{}.dcm", self.sop));
        let meta = FileMetaTableBuilder::new().transfer_syntax(self.syntax);
        self.object().with_meta(meta).unwrap().write_to_file(&path).unwrap();
        path
    }
}

/// A station that has these images.
pub async fn filled(images: &[Image]) -> Station {
    let station = Station::start().await;
    let files: Vec<_> = images.iter().map(|image| image.write(station.dir())).collect();
    let names: Vec<&str> = files.iter().map(|f| f.to_str().unwrap()).collect();
    assert_eq!(station.python("store.py", "CT01", &names).await, vec!["0000"; images.len()]);
    station
}

/// What follows the file meta information of a Part 10 file.
pub fn data_set_of(file: &[u8]) -> &[u8] {
    let group = u32::from_le_bytes(file[140..144].try_into().unwrap()) as usize;
    &file[144 + group..]
}
