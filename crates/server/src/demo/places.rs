//! The organization, two campuses, departments, rooms, devices with their hours, and a waiting-room display.

use super::{ORG, said};
use crate::ServerError;
use jiff::civil::time;
use mingying_access::{Campus, Department, DepartmentKind, Org};
use mingying_flow::ManageDisplays;
use mingying_http::App;
use mingying_kernel::{AeTitle, CampusId, Ctx, DepartmentId, DeviceId, RoomId};
use mingying_orders::EditCatalogue;
use mingying_scheduling::{Device, OpeningHours, Room};
use uuid::Uuid;

const MAIN: CampusId = CampusId::from_uuid(uuid::uuid!("01900000-0000-7000-8000-000000000101"));
const EAST: CampusId = CampusId::from_uuid(uuid::uuid!("01900000-0000-7000-8000-000000000102"));

pub(super) const DEPARTMENTS: [(&str, &str, &str, DepartmentKind, CampusId); 16] = [
    ("RAD", "放射科", "Radiology", DepartmentKind::Imaging, MAIN),
    ("US", "超声医学科", "Ultrasound", DepartmentKind::Imaging, MAIN),
    ("NM", "核医学科", "Nuclear medicine", DepartmentKind::Imaging, MAIN),
    ("RADE", "东院放射科", "Radiology, east campus", DepartmentKind::Imaging, EAST),
    ("ED", "急诊科", "Emergency", DepartmentKind::Clinical, MAIN),
    ("RESP", "呼吸内科", "Respiratory medicine", DepartmentKind::Clinical, MAIN),
    ("CARD", "心内科", "Cardiology", DepartmentKind::Clinical, MAIN),
    ("NEUR", "神经内科", "Neurology", DepartmentKind::Clinical, MAIN),
    ("NSUR", "神经外科", "Neurosurgery", DepartmentKind::Clinical, MAIN),
    ("ORTH", "骨科", "Orthopaedics", DepartmentKind::Clinical, MAIN),
    ("GS", "普外科", "General surgery", DepartmentKind::Clinical, MAIN),
    ("URO", "泌尿外科", "Urology", DepartmentKind::Clinical, MAIN),
    ("OBGY", "妇产科", "Obstetrics and gynaecology", DepartmentKind::Clinical, MAIN),
    ("PED", "儿科", "Paediatrics", DepartmentKind::Clinical, MAIN),
    ("ONC", "肿瘤科", "Oncology", DepartmentKind::Clinical, MAIN),
    ("CHK", "体检中心", "Health check centre", DepartmentKind::Clinical, EAST),
];

/// Ids that a second run would make again.
pub(super) fn department_id(index: usize) -> DepartmentId {
    DepartmentId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0200 + index as u128))
}

pub(super) fn room_id(index: usize) -> RoomId {
    RoomId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0300 + index as u128))
}

pub(super) fn device_id(index: usize) -> DeviceId {
    DeviceId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0400 + index as u128))
}

/// AE title, modality, room in Chinese and English, ticket prefix, index of the department.
pub(super) const DEVICES: [(&str, &str, &str, &str, &str, usize); 29] = [
    ("CT01", "CT", "CT 1室", "CT room 1", "A", 0),
    ("CT02", "CT", "CT 2室", "CT room 2", "B", 0),
    ("CT03", "CT", "CT 3室", "CT room 3", "C", 0),
    ("CT04", "CT", "东院 CT室", "CT room, east", "EC", 3),
    ("MR01", "MR", "磁共振1室", "MR room 1", "M", 0),
    ("MR02", "MR", "磁共振2室", "MR room 2", "N", 0),
    ("MR03", "MR", "东院 磁共振室", "MR room, east", "EM", 3),
    ("DR01", "DX", "DR 1室", "X-ray room 1", "D", 0),
    ("DR02", "DX", "DR 2室", "X-ray room 2", "E", 0),
    ("DR03", "DX", "DR 3室", "X-ray room 3", "F", 0),
    ("DR04", "DX", "急诊 DR室", "X-ray room, emergency", "G", 0),
    ("DR05", "DX", "东院 DR室", "X-ray room, east", "ED", 3),
    ("DR06", "DX", "床旁 DR", "Bedside X-ray", "H", 0),
    ("MG01", "MG", "乳腺1室", "Mammography room 1", "P", 0),
    ("MG02", "MG", "东院 乳腺室", "Mammography room, east", "EP", 3),
    ("RF01", "RF", "胃肠造影室", "Fluoroscopy room", "R", 0),
    ("XA01", "XA", "介入导管室", "Angiography suite", "X", 0),
    ("PT01", "PT", "PET-CT室", "PET-CT room", "Q", 2),
    ("NM01", "NM", "核医学显像室", "Nuclear medicine room", "K", 2),
    ("US01", "US", "超声1室", "Ultrasound room 1", "S", 1),
    ("US02", "US", "超声2室", "Ultrasound room 2", "T", 1),
    ("US03", "US", "超声3室", "Ultrasound room 3", "U", 1),
    ("US04", "US", "超声4室", "Ultrasound room 4", "V", 1),
    ("US05", "US", "超声5室", "Ultrasound room 5", "W", 1),
    ("US06", "US", "心脏超声室", "Echocardiography room", "Y", 1),
    ("US07", "US", "急诊超声室", "Ultrasound room, emergency", "Z", 1),
    ("US08", "US", "床旁超声", "Bedside ultrasound", "L", 1),
    ("DR07", "DX", "体检 DR室", "X-ray room, health checks", "EH", 3),
    ("US09", "US", "东院 超声室", "Ultrasound room, east", "EU", 3),
];

/// The device with this AE title.
pub(super) fn device(aet: &str) -> DeviceId {
    device_id(DEVICES.iter().position(|line| line.0 == aet).unwrap_or_default())
}

/// Emergency devices never close; the others are open from 7 to 22 on every day.
fn hours(aet: &str) -> Vec<OpeningHours> {
    let always = ["CT01", "DR04", "DR06", "US07", "US08"].contains(&aet);
    let (from, to) =
        if always { (time(0, 0, 0, 0), time(23, 59, 59, 0)) } else { (time(7, 0, 0, 0), time(22, 0, 0, 0)) };
    (1..=7).map(|weekday| OpeningHours { weekday, from, to }).collect()
}

pub(super) async fn seed(app: &App, ctx: &Ctx) -> Result<(), ServerError> {
    let mut tx = app.db.begin().await?;
    let org =
        Org { id: ORG, name: "明影示范医院".to_owned(), name_en: "Mingying Demonstration Hospital".to_owned() };
    mingying_access::put_org(&mut tx, &org).await?;
    for (id, code, name, name_en) in [(MAIN, "MAIN", "主院区", "Main campus"), (EAST, "EAST", "东院区", "East campus")]
    {
        let campus = Campus { id, org: ORG, code: code.to_owned(), name: name.to_owned(), name_en: name_en.to_owned() };
        mingying_access::put_campus(&mut tx, &campus).await?;
    }
    for (index, (code, name, name_en, kind, campus)) in DEPARTMENTS.into_iter().enumerate() {
        let department = Department {
            id: department_id(index),
            org: ORG,
            campus,
            code: code.to_owned(),
            name: name.to_owned(),
            name_en: name_en.to_owned(),
            kind,
        };
        mingying_access::put_department(&mut tx, &department).await?;
    }
    tx.commit().await?;

    let permit = ctx.permit::<EditCatalogue>()?;
    mingying_scheduling::set_facility_zone(&app.db, &permit, ORG, "Asia/Shanghai").await.map_err(said)?;
    for (index, (aet, modality, name, name_en, prefix, department)) in DEVICES.into_iter().enumerate() {
        let campus = DEPARTMENTS.get(department).map_or(MAIN, |line| line.4);
        let room = Room {
            id: room_id(index),
            org: ORG,
            campus,
            department: department_id(department),
            code: format!("R-{aet}"),
            name: name.to_owned(),
            name_en: name_en.to_owned(),
            ticket_prefix: prefix.to_owned(),
        };
        mingying_scheduling::put_room(&app.db, &permit, &room).await.map_err(said)?;
        let device = Device {
            id: device_id(index),
            org: ORG,
            campus,
            department: department_id(department),
            room: room.id,
            ae_title: AeTitle::parse(aet).map_err(|error| ServerError::Demo(error.to_string()))?,
            name: aet.to_owned(),
            modality: modality.to_owned(),
            capacity: 1,
            active: true,
            mobile: matches!(aet, "DR06" | "US08"),
        };
        mingying_scheduling::put_device(&app.db, &permit, &device).await.map_err(said)?;
        mingying_scheduling::set_opening_hours(&app.db, &permit, device.id, &hours(aet)).await.map_err(said)?;
    }
    Ok(())
}

/// One display for the radiology waiting hall, one for ultrasound. Their keys are made anew on the display's page.
pub(super) async fn displays(app: &App, ctx: &Ctx) -> Result<(), ServerError> {
    let permit = ctx.permit::<ManageDisplays>()?;
    let rooms = |aets: &[&str]| -> Vec<RoomId> {
        DEVICES.iter().enumerate().filter(|(_, line)| aets.contains(&line.0)).map(|(index, _)| room_id(index)).collect()
    };
    for (name, aets) in [
        ("放射科候诊大厅", &["CT01", "CT02", "CT03", "MR01", "MR02", "DR01", "DR02"][..]),
        ("超声候诊区", &["US01", "US02", "US03", "US04", "US05"][..]),
    ] {
        mingying_flow::create_display(&app.db, &permit, name, &rooms(aets)).await.map_err(said)?;
    }
    Ok(())
}
