//! The organization, two campuses, imaging and clinical departments.

use super::ORG;
use crate::ServerError;
use mingying_access::{Campus, Department, DepartmentKind, Org};
use mingying_http::App;
use mingying_kernel::{CampusId, Ctx, DepartmentId};
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

pub(super) async fn seed(app: &App, _ctx: &Ctx) -> Result<(), ServerError> {
    let mut tx = app.db.begin().await?;
    let org = Org { id: ORG, name: "明影示范医院".to_owned(), name_en: "Mingying Demonstration Hospital".to_owned() };
    mingying_access::put_org(&mut tx, &org).await?;
    for (id, code, name, name_en) in [(MAIN, "MAIN", "主院区", "Main campus"), (EAST, "EAST", "东院区", "East campus")] {
        let campus =
            Campus { id, org: ORG, code: code.to_owned(), name: name.to_owned(), name_en: name_en.to_owned() };
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
    Ok(())
}
