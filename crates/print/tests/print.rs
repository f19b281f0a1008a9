//! Prints real documents with the machine's fonts. `PRINT_OUT=dir` keeps the files to look at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mingying_kernel::{Coded, Timestamp};
use mingying_print::{PatientLink, PrintError, Printer, ReportDocument, Signature, SlipDocument, Stage};

fn printer() -> Printer {
    Printer::new(Printer::system_font_dirs())
}

fn report() -> ReportDocument {
    ReportDocument {
        hospital: "明影示范医院".into(),
        hospital_en: "Mingying Demonstration Hospital".into(),
        title: "CT 检查报告单".into(),
        stage: Stage::Final,
        version: 1,
        replaced_by: None,
        patient_name: "欧阳·示例".into(),
        sex: "女".into(),
        age: "57 岁".into(),
        mrn: "M00012345".into(),
        visit_class: "门诊".into(),
        department: "消化内科".into(),
        physician: "王示范".into(),
        accession: "A20260302000001".into(),
        modality: "CT".into(),
        items: "上腹部 CT 平扫 + 增强".into(),
        device: "CT01".into(),
        exam_date: "2026-03-02 09:12".into(),
        report_date: "2026-03-02 10:31".into(),
        diagnosis: "上腹部不适 2 周，肝占位待查".into(),
        findings:
            "肝脏大小、形态正常，各叶比例协调，肝右后叶下段（S6）见一类圆形低密度灶，大小约 23 mm × 19 mm，边界清楚；\
                   增强扫描动脉期边缘结节样强化，门脉期及延迟期向中心填充。余肝实质密度均匀，肝内外胆管无扩张。\n\
                   胆囊不大，壁不厚，腔内未见异常密度。胰腺形态、密度正常，胰管不扩张。脾脏不大。\n\
                   双肾形态、位置正常，左肾上极见一直径约 8 mm 无强化囊性灶。腹膜后未见肿大淋巴结，腹腔未见积液。"
                .into(),
        impression: "1. 肝右后叶下段（S6）占位，考虑肝血管瘤。\n2. 左肾小囊肿。".into(),
        advice: "建议 6 个月后复查上腹部增强 CT 或超声。".into(),
        author: Some(Signature { name: "李初诊".into(), at: "2026-03-02 10:02".into() }),
        auditor: Some(Signature { name: "赵审核".into(), at: "2026-03-02 10:31".into() }),
        hash: "9f2c41d07ab8".into(),
        link: Some(PatientLink {
            url: "https://pacs.example.org/p/0123456789abcdefghijklmnopqrstuvwxyzABCDEFG".into(),
            caption: "扫码看报告与影像".into(),
        }),
        created_at: Timestamp::from_micros(1_772_418_660_000_000),
    }
}

fn slip() -> SlipDocument {
    SlipDocument {
        hospital: "明影示范医院".into(),
        hospital_en: "Mingying Demonstration Hospital".into(),
        patient_name: "欧阳·示例".into(),
        sex: "女".into(),
        age: "57 岁".into(),
        mrn: "M00012345".into(),
        accession: "A20260302000001".into(),
        items: "上腹部 CT 平扫 + 增强".into(),
        modality: "CT".into(),
        date: "2026-03-03（周二）".into(),
        time: "10:30".into(),
        arrive_by: "10:15".into(),
        ticket: String::new(),
        place: "主院区门诊楼二层 CT 2 室".into(),
        device: "CT02".into(),
        preparation: "检查前禁食 4–6 小时，可少量饮水。\n去除腹部金属物品。增强检查须家属陪同并签署知情同意书。".into(),
        bring: vec!["身份证".into(), "本预约单".into(), "以往影像资料".into()],
        remarks: vec!["过敏史".into(), "肾功能不全".into(), "二甲双胍用药史".into(), "可能怀孕".into()],
        phone: "010-0000 0000".into(),
        code: "A20260302000001".into(),
        printed_at: "2026-03-02 08:40".into(),
        created_at: Timestamp::from_micros(1_772_412_000_000_000),
    }
}

fn keep(name: &str, pdf: &[u8]) {
    if let Ok(dir) = std::env::var("PRINT_OUT") {
        std::fs::write(format!("{dir}/{name}.pdf"), pdf).unwrap();
    }
}

/// Page count and text, read back with another implementation (poppler).
fn read_back(pdf: &[u8]) -> (usize, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pdf");
    std::fs::write(&path, pdf).unwrap();
    let run = |program: &str, args: &[&str]| {
        let out = std::process::Command::new(program).args(args).arg(&path).arg("-").output();
        out.unwrap_or_else(|e| panic!("{program} (package poppler-utils): {e}"))
    };
    let text = String::from_utf8(run("pdftotext", &["-layout"]).stdout).unwrap();
    (text.matches('\u{c}').count(), text)
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '\u{200b}').collect()
}

#[tokio::test]
async fn a_report_shows_what_the_standard_asks_for() {
    let pdf = printer().report_pdf(&report()).await.unwrap();
    keep("report", &pdf);
    assert!(pdf.starts_with(b"%PDF-1.7"));
    assert!(pdf.len() < 400_000, "only a font subset: {}", pdf.len());
    let (pages, text) = read_back(&pdf);
    assert_eq!(pages, 1);
    let text = squeezed(&text);
    for part in [
        "明影示范医院",
        "CT检查报告单",
        "欧阳·示例",
        "A20260302000001",
        "影像所见",
        "诊断意见",
        "考虑肝血管瘤",
        "建议",
        "李初诊",
        "赵审核",
        "2026-03-0210:31",
        "9f2c41d07ab8",
        "第1页/共1页",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains("草稿") && !text.contains("作废"));
}

#[tokio::test]
async fn the_same_document_gives_the_same_bytes() {
    let (one, two) = (printer(), printer());
    assert_eq!(one.report_pdf(&report()).await.unwrap(), two.report_pdf(&report()).await.unwrap());
}

#[tokio::test]
async fn drafts_and_replaced_versions_say_so() {
    let printer = printer();
    let draft = ReportDocument { stage: Stage::Draft, auditor: None, hash: String::new(), link: None, ..report() };
    let pdf = printer.report_pdf(&draft).await.unwrap();
    keep("draft", &pdf);
    assert!(squeezed(&read_back(&pdf).1).contains("草稿"));
    let replaced = ReportDocument { replaced_by: Some(2), ..report() };
    let pdf = printer.report_pdf(&replaced).await.unwrap();
    keep("replaced", &pdf);
    assert!(squeezed(&read_back(&pdf).1).contains("已被第2版报告替代"));
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let hostile = r##"#let x = 1 #panic("no") $a^2$ \ *bold* _it_ `raw` = Heading <label> @ref // comment /* open [b] {c} "quoted" #include "/etc/passwd" -- ... https://a.b"##;
    let document = ReportDocument {
        patient_name: "#set page(fill: red)".into(),
        findings: hostile.into(),
        impression: format!("{hostile}\n{}", "x".repeat(3000)),
        advice: "\u{202e}反向\u{0}\u{7}\t制表\u{10fffd}".into(),
        diagnosis: "W".repeat(400),
        ..report()
    };
    let pdf = printer().report_pdf(&document).await.unwrap();
    keep("hostile", &pdf);
    let (_, text) = read_back(&pdf);
    let text = squeezed(&text);
    assert!(text.contains("#setpage(fill:red)"));
    assert!(text.contains(&squeezed(hostile)), "{text}");
    assert!(text.contains("反向") && text.contains("U+10FFFD"));
    assert_eq!(text.matches('x').count() - 2 * hostile.matches('x').count(), 3000);
}

#[tokio::test]
async fn a_long_report_numbers_its_pages_and_repeats_the_patient() {
    let document = ReportDocument { findings: vec![report().findings; 24].join("\n"), ..report() };
    let pdf = printer().report_pdf(&document).await.unwrap();
    keep("long", &pdf);
    let (pages, text) = read_back(&pdf);
    assert!(pages >= 3, "{pages}");
    let text = squeezed(&text);
    assert!(text.contains(&format!("第{pages}页/共{pages}页")));
    assert_eq!(text.matches("检查号A20260302000001").count(), pages);
}

#[tokio::test]
async fn a_slip_can_be_scanned() {
    let pdf = printer().slip_pdf(&slip()).await.unwrap();
    keep("slip", &pdf);
    let (pages, text) = read_back(&pdf);
    assert_eq!(pages, 1);
    let text = squeezed(&text);
    for part in ["检查预约单", "2026-03-03（周二）10:30", "主院区门诊楼二层CT2室", "请携带", "身份证", "检查前准备"]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[tokio::test]
async fn without_a_chinese_font_nothing_is_printed() {
    let empty = tempfile::tempdir().unwrap();
    let printer = Printer::new([empty.path().to_path_buf()]);
    assert!(matches!(printer.check().await, Err(PrintError::FontMissing)));
    let error = printer.report_pdf(&report()).await.unwrap_err();
    assert_eq!(error.code(), "print.font_missing");
}
