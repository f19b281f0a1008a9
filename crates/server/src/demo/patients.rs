//! Two hundred people who do not exist: combined names, numbers from no region, a telephone prefix nobody has. Among
//! them the traps of domain.md section 5: same name and birthday, twins, and characters with several readings.

use super::said;
use crate::ServerError;
use jiff::civil::Date;
use mingying_http::App;
use mingying_kernel::{Ctx, PatientId};
use mingying_patients::{Alert, AlertKind, NewPatient, RegisterPatient, Sex};

const SURNAMES: [&str; 40] = [
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林", "何", "郭", "马",
    "罗", "梁", "宋", "郑", "谢", "韩", "唐", "冯", "于", "董", "萧", "程", "曹", "袁", "邓", "许", "傅", "沈", "彭",
    "吕", "苏",
];
const GIVEN_F: [&str; 20] = [
    "芳", "静", "丽华", "秀英", "敏", "雪梅", "婷", "晓燕", "玉兰", "佳怡", "思雨", "文静", "春梅", "若曦", "海霞",
    "梓萱", "淑珍", "慧", "雨桐", "倩",
];
const GIVEN_M: [&str; 20] = [
    "伟", "强", "建国", "志明", "磊", "军", "浩然", "子轩", "国庆", "俊杰", "鹏", "海涛", "明", "德胜", "天宇", "晨",
    "文博", "立新", "宏", "少华",
];
/// Names whose reading a table must know: 单 Shan, 曾 Zeng, 解 Xie, 仇 Qiu, 朴 Piao, 乐 Yue, 区 Ou, 查 Zha, 盖 Ge, 尉迟 Yuchi.
const POLYPHONES: [(&str, Sex); 10] = [
    ("单雄", Sex::Male),
    ("曾重阳", Sex::Male),
    ("解珍", Sex::Female),
    ("仇英", Sex::Male),
    ("朴秀智", Sex::Female),
    ("乐嘉行", Sex::Male),
    ("区小朵", Sex::Female),
    ("查长生", Sex::Male),
    ("盖宇航", Sex::Male),
    ("尉迟燕", Sex::Female),
];

fn day(year: i16, month: usize, day: usize) -> Option<Date> {
    Date::new(year, (month % 12 + 1) as i8, (day % 28 + 1) as i8).ok()
}

/// The list, in the order of registration.
pub(super) fn people() -> Vec<NewPatient> {
    let mut all = Vec::with_capacity(200);
    let mut add = |name: &str, sex: Sex, birth_date: Option<Date>| {
        let number = all.len();
        let phone = Some(format!("1000000{number:04}"));
        let alerts = match number % 17 {
            3 => vec![Alert { kind: AlertKind::Allergy, text: "碘对比剂过敏史（示例）".to_owned() }],
            7 => vec![Alert { kind: AlertKind::Implant, text: "心脏起搏器（示例）".to_owned() }],
            11 => vec![Alert { kind: AlertKind::Egfr, text: "eGFR 28（示例）".to_owned() }],
            _ => Vec::new(),
        };
        all.push(NewPatient {
            name: name.to_owned(),
            sex: Some(sex),
            birth_date,
            phone,
            address: Some(format!("示例市示例路{}号", number + 1)),
            alerts,
            ..NewPatient::default()
        });
    };
    for index in 0..184_usize {
        let surname = SURNAMES.get(index * 7 % SURNAMES.len()).copied().unwrap_or("王");
        let female = index % 2 == 0;
        let given = if female { GIVEN_F } else { GIVEN_M };
        let given = given.get(index / 2 * 3 % given.len()).copied().unwrap_or("明");
        let year = 1940 + (index * 13 % 80) as i16;
        let sex = if female { Sex::Female } else { Sex::Male };
        add(&format!("{surname}{given}"), sex, day(year, index * 5, index * 11));
    }
    for (index, (name, sex)) in POLYPHONES.into_iter().enumerate() {
        add(name, sex, day(1960 + index as i16 * 4, index, index * 3));
    }
    // Two women of the same name born on the same day, and no number to tell them apart.
    add("王芳", Sex::Female, day(1985, 4, 11));
    add("王芳", Sex::Female, day(1985, 4, 11));
    // Twins.
    add("赵子涵", Sex::Male, day(2015, 8, 20));
    add("赵子晗", Sex::Male, day(2015, 8, 20));
    // The same sound, written differently.
    add("张玮", Sex::Male, day(1978, 2, 5));
    add("章伟", Sex::Male, day(1978, 2, 5));
    all
}

/// Registers everybody; ids in the list's order.
pub(super) async fn seed(app: &App, ctx: &Ctx) -> Result<Vec<PatientId>, ServerError> {
    let permit = ctx.permit::<RegisterPatient>()?;
    let mut ids = Vec::new();
    for person in people() {
        ids.push(mingying_patients::register(&app.db, &permit, person).await.map_err(said)?.id);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_hundred_with_traps() {
        let people = people();
        assert_eq!(people.len(), 200);
        let traps: Vec<_> = people.iter().filter(|p| p.name == "王芳" && p.birth_date == day(1985, 4, 11)).collect();
        assert!(traps.len() >= 2);
        assert!(people.iter().any(|p| p.name == "曾重阳"));
    }
}
