//! What the demonstration hospital offers.

use super::{ORG, said};
use crate::ServerError;
use mingying_http::App;
use mingying_kernel::Ctx;
use mingying_orders::{CatalogueItem, EditCatalogue};

/// Code, Chinese name, English name, body part, sided, contrast, minutes, price in yuan.
type Line = (&'static str, &'static str, &'static str, &'static str, bool, bool, u32, i64);

const CT: &[Line] = &[
    ("CT-HEAD", "头颅CT平扫", "CT head", "HEAD", false, false, 10, 180),
    ("CT-HEAD-C", "头颅CT增强", "CT head with contrast", "HEAD", false, true, 20, 480),
    ("CT-CHEST", "胸部CT平扫", "CT chest", "CHEST", false, false, 10, 230),
    ("CT-CHEST-C", "胸部CT增强", "CT chest with contrast", "CHEST", false, true, 20, 560),
    ("CT-CHEST-LD", "胸部低剂量CT", "Low-dose CT chest", "CHEST", false, false, 10, 200),
    ("CT-ABD", "上腹部CT平扫", "CT upper abdomen", "ABDOMEN", false, false, 10, 230),
    ("CT-ABD-C", "上腹部CT增强", "CT upper abdomen with contrast", "ABDOMEN", false, true, 25, 620),
    ("CT-PELVIS", "盆腔CT平扫", "CT pelvis", "PELVIS", false, false, 10, 230),
    ("CT-PELVIS-C", "盆腔CT增强", "CT pelvis with contrast", "PELVIS", false, true, 25, 620),
    ("CT-CSPINE", "颈椎CT平扫", "CT cervical spine", "CSPINE", false, false, 10, 230),
    ("CT-LSPINE", "腰椎CT平扫", "CT lumbar spine", "LSPINE", false, false, 10, 230),
    ("CT-SINUS", "鼻窦CT平扫", "CT sinuses", "SINUS", false, false, 10, 200),
    ("CT-KNEE", "膝关节CT平扫", "CT knee", "KNEE", true, false, 10, 200),
    ("CTA-HEAD", "头颈CTA", "CT angiography head and neck", "HEADNECK", false, true, 25, 980),
    ("CTA-AORTA", "主动脉CTA", "CT angiography aorta", "AORTA", false, true, 25, 980),
    ("CTA-CORO", "冠状动脉CTA", "Coronary CT angiography", "HEART", false, true, 30, 1200),
];

const MR: &[Line] = &[
    ("MR-HEAD", "头颅MR平扫", "MR head", "HEAD", false, false, 20, 480),
    ("MR-HEAD-C", "头颅MR增强", "MR head with contrast", "HEAD", false, true, 30, 880),
    ("MRA-HEAD", "头颅MRA", "MR angiography head", "HEAD", false, false, 20, 520),
    ("MR-PIT", "垂体MR增强", "MR pituitary with contrast", "HEAD", false, true, 30, 880),
    ("MR-CSPINE", "颈椎MR平扫", "MR cervical spine", "CSPINE", false, false, 20, 480),
    ("MR-LSPINE", "腰椎MR平扫", "MR lumbar spine", "LSPINE", false, false, 20, 480),
    ("MR-ABD-C", "上腹部MR增强", "MR upper abdomen with contrast", "ABDOMEN", false, true, 40, 980),
    ("MRCP", "MRCP", "MR cholangiopancreatography", "ABDOMEN", false, false, 30, 620),
    ("MR-PELVIS-C", "盆腔MR增强", "MR pelvis with contrast", "PELVIS", false, true, 40, 980),
    ("MR-PROST", "前列腺MR", "MR prostate", "PROSTATE", false, true, 40, 980),
    ("MR-KNEE", "膝关节MR平扫", "MR knee", "KNEE", true, false, 25, 480),
    ("MR-SHOULDER", "肩关节MR平扫", "MR shoulder", "SHOULDER", true, false, 25, 480),
];

const DX: &[Line] = &[
    ("DX-CHEST", "胸部正位片", "Chest radiograph, PA", "CHEST", false, false, 5, 60),
    ("DX-CHEST2", "胸部正侧位片", "Chest radiograph, PA and lateral", "CHEST", false, false, 5, 90),
    ("DX-ABD", "腹部立位片", "Abdomen radiograph, erect", "ABDOMEN", false, false, 5, 60),
    ("DX-CSPINE", "颈椎正侧位片", "Cervical spine radiograph", "CSPINE", false, false, 5, 90),
    ("DX-LSPINE", "腰椎正侧位片", "Lumbar spine radiograph", "LSPINE", false, false, 5, 90),
    ("DX-PELVIS", "骨盆正位片", "Pelvis radiograph", "PELVIS", false, false, 5, 60),
    ("DX-KNEE", "膝关节正侧位片", "Knee radiograph", "KNEE", true, false, 5, 90),
    ("DX-ANKLE", "踝关节正侧位片", "Ankle radiograph", "ANKLE", true, false, 5, 90),
    ("DX-HAND", "手正斜位片", "Hand radiograph", "HAND", true, false, 5, 80),
    ("DX-FOOT", "足正斜位片", "Foot radiograph", "FOOT", true, false, 5, 80),
    ("DX-ELBOW", "肘关节正侧位片", "Elbow radiograph", "ELBOW", true, false, 5, 90),
    ("DX-SHOULDER", "肩关节正位片", "Shoulder radiograph", "SHOULDER", true, false, 5, 80),
    ("DX-BED", "床旁胸片", "Bedside chest radiograph", "CHEST", false, false, 15, 120),
];

const MG: &[Line] = &[
    ("MG-BOTH", "双乳钼靶", "Mammography, both", "BREAST", false, false, 15, 220),
    ("MG-ONE", "单乳钼靶", "Mammography, one side", "BREAST", true, false, 10, 130),
];

const US: &[Line] = &[
    ("US-ABD", "腹部超声", "Ultrasound abdomen", "ABDOMEN", false, false, 15, 150),
    ("US-THY", "甲状腺超声", "Ultrasound thyroid", "THYROID", false, false, 10, 120),
    ("US-BREAST", "乳腺超声", "Ultrasound breast", "BREAST", false, false, 15, 130),
    ("US-KUB", "泌尿系超声", "Ultrasound kidneys and bladder", "KIDNEY", false, false, 15, 130),
    ("US-GYN", "妇科超声", "Gynaecological ultrasound", "PELVIS", false, false, 15, 140),
    ("US-OB", "产科超声", "Obstetric ultrasound", "FETUS", false, false, 20, 200),
    ("US-HEART", "心脏超声", "Echocardiography", "HEART", false, false, 20, 260),
    ("US-CAROTID", "颈动脉超声", "Ultrasound carotid arteries", "CAROTID", false, false, 20, 220),
    ("US-LEGVEIN", "下肢静脉超声", "Ultrasound leg veins", "LEG", true, false, 20, 200),
    ("US-SUPER", "浅表肿物超声", "Ultrasound superficial mass", "SOFTTISSUE", false, false, 10, 100),
];

const OTHER: &[(&str, Line)] = &[
    ("RF", ("RF-MEAL", "上消化道钡餐", "Barium meal", "STOMACH", false, true, 20, 260)),
    ("RF", ("RF-ENEMA", "钡灌肠", "Barium enema", "COLON", false, true, 30, 320)),
    ("XA", ("XA-CORO", "冠状动脉造影", "Coronary angiography", "HEART", false, true, 60, 3200)),
    ("XA", ("XA-CEREB", "全脑血管造影", "Cerebral angiography", "HEAD", false, true, 60, 3600)),
    ("PT", ("PT-WHOLE", "全身PET-CT", "Whole-body PET-CT", "WHOLEBODY", false, false, 40, 7000)),
    ("NM", ("NM-BONE", "全身骨显像", "Bone scan", "WHOLEBODY", false, false, 40, 620)),
    ("NM", ("NM-THY", "甲状腺显像", "Thyroid scan", "THYROID", false, false, 30, 380)),
];

fn preparation(modality: &str, line: &Line) -> (&'static str, &'static str) {
    match (modality, line.0) {
        (_, "US-ABD") => ("空腹8小时", "Fast for 8 hours"),
        (_, "US-KUB" | "US-GYN") => ("适量憋尿", "Come with a full bladder"),
        (_, "RF-MEAL") => ("空腹6小时，禁水", "Nothing by mouth for 6 hours"),
        (_, "RF-ENEMA") => ("检查前一日清洁肠道", "Bowel preparation the day before"),
        (_, "PT-WHOLE") => ("空腹6小时，控制血糖", "Fast for 6 hours; control blood sugar"),
        (_, "MRCP") => ("空腹6小时，去除金属物品", "Fast for 6 hours; remove all metal"),
        ("MR", _) if line.5 => ("去除金属物品；携带肾功能结果", "Remove all metal; bring kidney function results"),
        ("MR", _) => ("去除金属物品", "Remove all metal"),
        ("CT", _) if line.5 => ("空腹4小时；携带肾功能结果", "Fast for 4 hours; bring kidney function results"),
        ("CT" | "DX", _) if line.3 == "CHEST" => ("去除胸部金属饰物", "Remove metal from the chest"),
        _ => ("", ""),
    }
}

pub(super) fn items() -> Vec<CatalogueItem> {
    let groups = [("CT", CT), ("MR", MR), ("DX", DX), ("MG", MG), ("US", US)];
    let lines = groups.into_iter().flat_map(|(modality, lines)| lines.iter().map(move |line| (modality, line)));
    lines
        .chain(OTHER.iter().map(|(modality, line)| (*modality, line)))
        .map(|(modality, line)| {
            let (preparation, preparation_en) = preparation(modality, line);
            CatalogueItem {
                id: line.0.to_lowercase(),
                code: line.0.to_owned(),
                name: line.1.to_owned(),
                name_en: line.2.to_owned(),
                modality: modality.to_owned(),
                body_part: line.3.to_owned(),
                sided: line.4,
                contrast: line.5,
                duration_min: line.6,
                preparation: preparation.to_owned(),
                preparation_en: preparation_en.to_owned(),
                price_cents: line.7 * 100,
            }
        })
        .collect()
}

pub(super) async fn seed(app: &App, ctx: &Ctx) -> Result<(), ServerError> {
    let permit = ctx.permit::<EditCatalogue>()?;
    mingying_orders::upsert_catalogue(&app.db, &permit, ORG, &items()).await.map_err(said)
}
