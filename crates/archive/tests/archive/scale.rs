//! How long queries take in an archive of many studies, and whether storing slows as it grows. Not a test:
//! `SCALE=1000000 cargo nextest run -p mingying-archive --test archive scale --run-ignored all --no-capture`.

use crate::objects::*;
use dicom_core::VR;
use dicom_dictionary_std::tags;
use mingying_archive::{Archive, Level, Origin, Query, ReadStudies};
use mingying_kernel::{Ctx, Permit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

const SURNAMES: [(&str, &str); 12] = [
    ("Wang", "王"),
    ("Li", "李"),
    ("Zhang", "张"),
    ("Liu", "刘"),
    ("Chen", "陈"),
    ("Yang", "杨"),
    ("Zhao", "赵"),
    ("Huang", "黄"),
    ("Zhou", "周"),
    ("Wu", "吴"),
    ("Ouyang", "欧阳"),
    ("Xu", "徐"),
];
const GIVEN: [(&str, &str); 16] = [
    ("xiao", "晓"),
    ("ming", "明"),
    ("ying", "影"),
    ("fang", "芳"),
    ("wei", "伟"),
    ("na", "娜"),
    ("jie", "杰"),
    ("qiang", "强"),
    ("li", "丽"),
    ("jun", "军"),
    ("yan", "燕"),
    ("tao", "涛"),
    ("hua", "华"),
    ("bo", "波"),
    ("lan", "兰"),
    ("yu", "雨"),
];
const MODALITIES: [&str; 8] = ["CT", "CT", "CT", "MR", "DX", "DX", "US", "NM"];

/// A fictional study: number `n` of an archive that fills by 300 studies a day.
fn study(n: u32) -> Slice {
    let mut one = slice(n, 1, 1);
    // Spread, so that neighbours in time share nothing else.
    let h = n.wrapping_mul(2_654_435_761);
    let (surname, given) =
        (SURNAMES[(h >> 28) as usize % 12], [GIVEN[(h >> 20) as usize % 16], GIVEN[(h >> 12) as usize % 16]]);
    let name = format!("{}^{}{}={}^{}{}", surname.0, given[0].0, given[1].0, surname.1, given[0].1, given[1].1);
    put(&mut one.object, tags::PATIENT_NAME, VR::PN, name);
    put(&mut one.object, tags::PATIENT_ID, VR::LO, format!("P{:07}", h % 400_000));
    put(&mut one.object, tags::MODALITY, VR::CS, if n.is_multiple_of(997) { "PT" } else { MODALITIES[h as usize % 8] });
    put(&mut one.object, tags::STUDY_DATE, VR::DA, day(n / 300));
    put(&mut one.object, tags::STUDY_TIME, VR::TM, format!("{:02}{:02}00", 7 + n % 12, n % 60));
    one
}

fn day(n: u32) -> String {
    format!("{:04}{:02}{:02}", 2015 + n / 336, 1 + n / 28 % 12, 1 + n % 28)
}

async fn fill(archive: &Archive, ctx: &Ctx, from: u32, to: u32) {
    let next = Arc::new(AtomicU32::new(from));
    let tasks: Vec<_> = (0..96)
        .map(|_| {
            let (archive, ctx, next) = (archive.clone(), ctx.clone(), next.clone());
            tokio::spawn(async move {
                let permit = ctx.permit().unwrap();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= to {
                        return;
                    }
                    let one = study(n);
                    let mut receiving = archive.receive(Origin::aet("CT01"), one.meta(EXPLICIT));
                    receiving.write(&one.bytes(EXPLICIT)).await.unwrap();
                    receiving.finish(&permit).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn ask(archive: &Archive, permit: &Permit<ReadStudies>, what: &str, runs: u32, query: impl Fn(u32) -> Query) {
    let mut times = Vec::new();
    let mut found = 0;
    for run in 0..runs {
        let query = query(run.wrapping_mul(2_246_822_519)).limit(50);
        let begun = Instant::now();
        found += archive.find_studies(permit, &query).await.unwrap().items.len();
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let at = |q: f64| times[((times.len() - 1) as f64 * q) as usize];
    let mean = found as f64 / f64::from(runs);
    eprintln!("  {what:32} p50 {:8.2} ms  p99 {:8.2} ms  rows {mean:.1}", at(0.5), at(0.99));
}

fn keys(pairs: &[(dicom_core::Tag, String)]) -> Query {
    Query::from_attributes(Level::Study, pairs).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn scale() {
    let total: u32 = std::env::var("SCALE").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let only = std::env::var("ENGINE").unwrap_or_default();
    for engine in ["sqlite", "postgres"] {
        if !only.is_empty() && only != engine {
            continue;
        }
        let test =
            if engine == "sqlite" { mingying_testkit::sqlite().await } else { mingying_testkit::postgres().await };
        let bench = open(test.db.clone(), &test.dir.path().join("blobs")).await;
        let permit = bench.ctx.permit::<ReadStudies>().unwrap();
        let step = (total / 10).max(1);
        for part in 0..10 {
            let begun = Instant::now();
            fill(&bench.archive, &bench.ctx, part * step, (part + 1) * step).await;
            let rate = f64::from(step) / begun.elapsed().as_secs_f64();
            eprintln!("{engine} studies {:>8}: {rate:.0} stored/s", (part + 1) * step);
        }
        bench.archive.flush().await.unwrap();
        let days = total / 300;
        let a = &bench.archive;
        let patient = |h: u32| format!("P{:07}", (h % total).wrapping_mul(2_654_435_761) % 400_000);
        ask(a, &permit, "patient id", 200, |h| keys(&[(tags::PATIENT_ID, patient(h))])).await;
        ask(a, &permit, "accession", 200, |h| keys(&[(tags::ACCESSION_NUMBER, format!("ACC{}", h % total))])).await;
        ask(a, &permit, "study uid", 200, |h| keys(&[(tags::STUDY_INSTANCE_UID, format!("1.2.3.{}", h % total))]))
            .await;
        ask(a, &permit, "patient id prefix", 100, |h| keys(&[(tags::PATIENT_ID, format!("{}*", &patient(h)[..6]))]))
            .await;
        ask(a, &permit, "common surname, pinyin", 100, |h| {
            keys(&[(tags::PATIENT_NAME, format!("{}*", SURNAMES[h as usize % 12].0))])
        })
        .await;
        ask(a, &permit, "common surname, hanzi", 100, |h| {
            keys(&[(tags::PATIENT_NAME, format!("{}*", SURNAMES[h as usize % 12].1))])
        })
        .await;
        ask(a, &permit, "surname and given name", 100, |h| {
            keys(&[(
                tags::PATIENT_NAME,
                format!(
                    "{}^{}{}*",
                    SURNAMES[h as usize % 12].0,
                    GIVEN[(h >> 8) as usize % 16].0,
                    GIVEN[(h >> 16) as usize % 16].0
                ),
            )])
        })
        .await;
        ask(a, &permit, "name of nobody", 100, |h| keys(&[(tags::PATIENT_NAME, format!("Nobody{h}*"))])).await;
        ask(a, &permit, "search field, initials", 100, |h| {
            Query::all(Level::Study).text(["wx", "zm", "lyf", "oy"][h as usize % 4])
        })
        .await;
        ask(a, &permit, "search field, hanzi", 100, |h| Query::all(Level::Study).text(SURNAMES[h as usize % 12].1))
            .await;
        ask(a, &permit, "one day", 100, |h| keys(&[(tags::STUDY_DATE, day(h % days))])).await;
        ask(a, &permit, "30 days and CT", 100, |h| {
            let first = h % days;
            keys(&[
                (tags::STUDY_DATE, format!("{}-{}", day(first), day(first + 30))),
                (tags::MODALITIES_IN_STUDY, "CT".into()),
            ])
        })
        .await;
        ask(a, &permit, "30 days and PT (rare)", 100, |h| {
            let first = h % days;
            keys(&[
                (tags::STUDY_DATE, format!("{}-{}", day(first), day(first + 30))),
                (tags::MODALITIES_IN_STUDY, "PT".into()),
            ])
        })
        .await;
        ask(a, &permit, "PT (rare), any time", 20, |_| keys(&[(tags::MODALITIES_IN_STUDY, "PT".into())])).await;
        ask(a, &permit, "30 days and surname", 100, |h| {
            let first = h % days;
            keys(&[
                (tags::STUDY_DATE, format!("{}-{}", day(first), day(first + 30))),
                (tags::PATIENT_NAME, format!("{}*", SURNAMES[h as usize % 12].0)),
            ])
        })
        .await;
        ask(a, &permit, "no key", 100, |_| Query::all(Level::Study)).await;
        let begun = Instant::now();
        let closing = bench.archive.close();
        closing.await;
        drop(bench);
        let again = open(test.db.clone(), &test.dir.path().join("blobs")).await;
        eprintln!("{engine} opened in {:.2} s", begun.elapsed().as_secs_f64());
        again.archive.close().await;
    }
}
