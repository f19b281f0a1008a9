//! Phrases of the department, and two of its radiologist's own. Their wording is common; the clinic owns its final form.

use super::cast::Cast;
use super::said;
use crate::ServerError;
use mingying_http::App;
use mingying_kernel::Role;
use mingying_reporting::{NewPhrase, Section, UsePhrases, import_phrases};

/// Code, name, category, modality, body part, section, text.
type Line = (&'static str, &'static str, &'static str, &'static str, &'static str, Option<Section>, &'static str);

const SHARED: [Line; 14] = [
    (
        "fjj",
        "肺结节",
        "胸部",
        "CT",
        "CHEST",
        Some(Section::Findings),
        "{部位}见一{密度}结节，大小约{最近测量}，边界{边界}，{胸膜凹陷}胸膜凹陷征。",
    ),
    (
        "mbl",
        "磨玻璃影",
        "胸部",
        "CT",
        "CHEST",
        Some(Section::Findings),
        "{部位}见片状磨玻璃密度影，边界模糊，其内血管影可见。",
    ),
    (
        "xqjy",
        "胸腔积液",
        "胸部",
        "",
        "CHEST",
        Some(Section::Findings),
        "{侧别}胸腔见弧形液体密度影，最大深度约{深度}。",
    ),
    (
        "fqz",
        "肺气肿",
        "胸部",
        "CT",
        "CHEST",
        Some(Section::Findings),
        "双肺透亮度增高，见多发小叶中心型低密度无壁透亮区，以{部位}为著。",
    ),
    ("zglbj", "纵隔淋巴结", "胸部", "CT", "CHEST", Some(Section::Findings), "纵隔内见多发淋巴结，较大者短径约{短径}。"),
    (
        "gnz",
        "肝囊肿",
        "腹部",
        "CT",
        "ABDOMEN",
        Some(Section::Findings),
        "肝{部位}见类圆形水样密度影，边界清晰，大小约{最近测量}，增强后未见强化。",
    ),
    (
        "dnjs",
        "胆囊结石",
        "腹部",
        "",
        "ABDOMEN",
        Some(Section::Findings),
        "胆囊腔内见{数目}高密度影，较大者约{大小}，胆囊壁不厚。",
    ),
    (
        "snz",
        "肾囊肿",
        "腹部",
        "",
        "ABDOMEN",
        Some(Section::Findings),
        "{侧别}肾见类圆形水样密度影，边界清晰，大小约{最近测量}。",
    ),
    ("qxgs", "腔隙性脑梗死", "头部", "", "HEAD", Some(Section::Findings), "{部位}见斑点状{密度}影，边界{边界}。"),
    ("nws", "脑萎缩", "头部", "", "HEAD", Some(Section::Findings), "脑室系统扩大，脑沟、脑池增宽，中线结构居中。"),
    ("", "与前片比较 无变化", "比较", "", "", None, "与{既往日期}{既往检查}比较，{病变}未见明显变化。"),
    ("", "与前片比较 增大", "比较", "", "", None, "与{既往日期}{既往检查}比较，{病变}较前增大，现约{最近测量}。"),
    ("jyfc", "建议复查", "建议", "", "", Some(Section::Advice), "建议{时间}后复查，与本次图像比较。"),
    ("jyzq", "建议增强", "建议", "", "", Some(Section::Advice), "建议结合临床，必要时增强扫描进一步检查。"),
];

const OWN: [Line; 2] = [
    ("kt", "开头", "", "", "", Some(Section::Findings), "患者{性别}，{年龄}，因“{临床诊断}”行{检查项目}。"),
    ("wjz", "未见转移", "随访", "", "", Some(Section::Impression), "扫描范围内未见明确转移征象。"),
];

fn phrases(lines: &[Line]) -> Vec<NewPhrase> {
    lines
        .iter()
        .map(|(code, name, category, modality, body_part, section, text)| NewPhrase {
            code: (*code).to_owned(),
            name: (*name).to_owned(),
            category: (*category).to_owned(),
            modality: (*modality).to_owned(),
            body_part: (*body_part).to_owned(),
            section: *section,
            text: (*text).to_owned(),
        })
        .collect()
}

pub(super) async fn seed(app: &App, cast: &Cast) -> Result<(), ServerError> {
    let head = cast.now(Role::Head).permit::<UsePhrases>()?;
    import_phrases(&app.db, &head, true, phrases(&SHARED)).await.map_err(said)?;
    let radiologist = cast.now(Role::Radiologist).permit::<UsePhrases>()?;
    import_phrases(&app.db, &radiologist, false, phrases(&OWN)).await.map_err(said)?;
    Ok(())
}
