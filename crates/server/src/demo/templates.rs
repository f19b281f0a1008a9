//! Report templates, shared by the department. Their wording is common; the clinic owns its final form.

use super::cast::Cast;
use super::{ORG, said};
use crate::ServerError;
use mingying_http::App;
use mingying_kernel::{Ctx, Role};
use mingying_reporting::{EditTemplate, NewTemplate, Text, draft_template};

/// Code, name, English name, modality, body part, findings, impression.
type Line = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const TEMPLATES: [Line; 12] = [
    (
        "CT-CHEST-N",
        "胸部CT 未见异常",
        "CT chest, normal",
        "CT",
        "CHEST",
        "胸廓对称，双肺纹理清晰，双肺野未见实质性病变。气管、支气管通畅。纵隔居中，纵隔内未见肿大淋巴结。心影大小、形态正常。双侧胸腔未见积液。",
        "胸部CT平扫未见明显异常。",
    ),
    (
        "CT-CHEST-NOD",
        "胸部CT 肺结节",
        "CT chest, nodule",
        "CT",
        "CHEST",
        "{部位}见一{密度|实性|部分实性|磨玻璃}结节，大小约{最近测量}，边界{边界|清晰|模糊}。余肺野未见明显异常。纵隔内未见肿大淋巴结。双侧胸腔未见积液。",
        "{部位}结节，建议{随访}复查。",
    ),
    (
        "CT-CHEST-PNE",
        "胸部CT 肺炎",
        "CT chest, pneumonia",
        "CT",
        "CHEST",
        "{部位}见斑片状密度增高影，边缘模糊，内可见支气管充气征。纵隔内未见肿大淋巴结。双侧胸腔未见积液。",
        "{部位}炎症，建议治疗后复查。",
    ),
    (
        "CT-HEAD-N",
        "头颅CT 未见异常",
        "CT head, normal",
        "CT",
        "HEAD",
        "双侧大脑半球对称，灰白质分界清楚，脑实质内未见异常密度影。脑室系统大小、形态正常，中线结构居中。颅骨未见骨折。",
        "头颅CT平扫未见明显异常。",
    ),
    (
        "CT-HEAD-ICH",
        "头颅CT 脑出血",
        "CT head, haemorrhage",
        "CT",
        "HEAD",
        "{部位}见团块状高密度影，大小约{大小}，周围见低密度水肿带。邻近脑室{受压}，中线结构{移位}。",
        "{部位}脑出血。",
    ),
    (
        "CT-ABD-N",
        "上腹部CT 未见异常",
        "CT upper abdomen, normal",
        "CT",
        "ABDOMEN",
        "肝脏大小、形态正常，实质密度均匀。胆囊不大，壁不厚。胰腺、脾脏未见异常。双肾未见积水。腹膜后未见肿大淋巴结。",
        "上腹部CT未见明显异常。",
    ),
    (
        "MR-HEAD-N",
        "头颅MR 未见异常",
        "MR head, normal",
        "MR",
        "HEAD",
        "双侧大脑半球对称，脑实质内未见异常信号。脑室系统大小、形态正常，中线结构居中。DWI未见弥散受限。",
        "头颅MR平扫未见明显异常。",
    ),
    (
        "MR-LSPINE-D",
        "腰椎MR 椎间盘突出",
        "MR lumbar spine, disc",
        "MR",
        "LSPINE",
        "腰椎生理曲度{曲度}。{节段}椎间盘向后突出，硬膜囊{受压}。椎管{宽度}。脊髓圆锥未见异常信号。",
        "{节段}椎间盘突出。",
    ),
    (
        "MR-KNEE",
        "膝关节MR",
        "MR knee",
        "MR",
        "KNEE",
        "{侧别}膝关节：前、后交叉韧带{韧带}。内、外侧半月板{半月板}。关节腔{积液}。",
        "{结论}",
    ),
    (
        "DX-CHEST-N",
        "胸片 未见异常",
        "Chest radiograph, normal",
        "DX",
        "CHEST",
        "双肺纹理清晰，肺野未见实质性病变。双肺门影不大。心影大小、形态正常。双膈面光整，肋膈角锐利。",
        "胸部正位片未见明显异常。",
    ),
    (
        "DX-LIMB-N",
        "四肢骨关节 未见骨折",
        "Limb radiograph, no fracture",
        "DX",
        "",
        "{侧别}{部位}诸骨骨质未见明显骨折征象，关节在位，关节间隙未见狭窄。周围软组织未见异常。",
        "{侧别}{部位}未见明显骨折征象。",
    ),
    (
        "US-ABD-N",
        "腹部超声 未见异常",
        "Ultrasound abdomen, normal",
        "US",
        "ABDOMEN",
        "肝脏大小、形态正常，包膜光滑，实质回声均匀。胆囊壁光滑，腔内未见异常回声。胰腺、脾脏、双肾未见异常。",
        "肝、胆、胰、脾、双肾未见明显异常。",
    ),
];

pub(super) async fn seed(app: &App, ctx: &Ctx) -> Result<(), ServerError> {
    let permit = ctx.permit::<EditTemplate>()?;
    let mut tx = app.db.begin().await?;
    for (code, name, name_en, modality, body_part, findings, impression) in TEMPLATES {
        let new = NewTemplate {
            code: code.to_owned(),
            name: name.to_owned(),
            name_en: name_en.to_owned(),
            modality: modality.to_owned(),
            body_part: body_part.to_owned(),
            text: Text { findings: findings.to_owned(), impression: impression.to_owned(), advice: String::new() },
            source: String::new(),
        };
        mingying_reporting::upsert_template(&mut tx, &permit, ORG, new).await.map_err(said)?;
    }
    tx.commit().await?;
    Ok(())
}

/// The next version of a template, which waits for somebody else's approval.
pub(super) async fn pending(app: &App, cast: &Cast) -> Result<(), ServerError> {
    let permit = cast.now(Role::Radiologist).permit::<EditTemplate>()?;
    let new = NewTemplate {
        code: "CT-CHEST-PNE".to_owned(),
        name: "胸部CT 肺炎".to_owned(),
        name_en: "CT chest, pneumonia".to_owned(),
        modality: "CT".to_owned(),
        body_part: "CHEST".to_owned(),
        text: Text {
            findings: "{部位}见斑片状{密度|实变|磨玻璃|混合}影，边缘模糊，内{征象|可见|未见}支气管充气征。纵隔内未见肿大淋巴结。双侧胸腔未见积液。".to_owned(),
            impression: "{部位}炎症，建议治疗后{时间|2 周|4 周|3 个月}复查。".to_owned(),
            advice: String::new(),
        },
        source: String::new(),
    };
    draft_template(&app.db, &permit, None, new).await.map_err(said)?;
    Ok(())
}
