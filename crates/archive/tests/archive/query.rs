use crate::objects::*;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use mingying_archive::{Attributes, Level, Matching, Query};
use mingying_db::Db;
use mingying_kernel::{Actor, ActorKind, Ctx, OrgId, Permit, Policy, Scope};
use mingying_testkit::on_both;
use std::sync::Arc;

async fn studies(bench: &Bench, keys: &[(Tag, &str)]) -> Vec<String> {
    let keys: Vec<_> = keys.iter().map(|(tag, value)| (*tag, (*value).to_owned())).collect();
    let query = Query::from_attributes(Level::Study, &keys).unwrap();
    let page = bench.archive.find_studies(&bench.read(), &query).await.unwrap();
    let mut uids: Vec<String> = page.items.into_iter().map(|row| row.study_uid).collect();
    uids.sort();
    uids
}

async fn filled(db: Db, dir: &std::path::Path) -> Bench {
    let bench = open(db, dir).await;
    for s in 1..=3 {
        for i in 1..=2 {
            bench.send(&slice(s, 1, i)).await.unwrap();
        }
    }
    let mut li = slice(4, 2, 1);
    put(&mut li.object, tags::PATIENT_NAME, VR::PN, "Li^Si");
    put(&mut li.object, tags::STUDY_TIME, VR::TM, "233000");
    bench.send(&li).await.unwrap();
    bench
}

on_both! {
    async fn more_than_the_baseline_where_it_was_agreed_on(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = filled(db, dir.path()).await;
        let matching = Matching { combined_date_time: true, fuzzy_names: true };
        type Case<'a> = (&'a [(Tag, &'a str)], usize);
        let cases: &[Case<'_>] = &[
            (&[(tags::PATIENT_NAME, "San Zhang")], 3),
            (&[(tags::PATIENT_NAME, "san zh")], 3),
            (&[(tags::PATIENT_NAME, "章三")], 3),
            (&[(tags::PATIENT_NAME, "Zhang")], 3),
            (&[(tags::PATIENT_NAME, "*SAN")], 3),
            (&[(tags::PATIENT_NAME, "San Li")], 0),
            // 3 March 08:15 and 4 March 08:15, neither 2 March 08:15 nor 5 March 23:30.
            (&[(tags::STUDY_DATE, "20260302-20260305"), (tags::STUDY_TIME, "0816-2300")], 2),
            (&[(tags::STUDY_DATE, "20260303-"), (tags::STUDY_TIME, "0815-")], 3),
            (&[(tags::STUDY_DATE, "-20260303"), (tags::STUDY_TIME, "-0815")], 2),
        ];
        for (keys, expected) in cases {
            let keys: Vec<_> = keys.iter().map(|(tag, value)| (*tag, (*value).to_owned())).collect();
            let query = Query::matching(Level::Study, &keys, matching).unwrap();
            let page = bench.archive.find_studies(&bench.read(), &query).await.unwrap();
            assert_eq!(page.items.len(), *expected, "{keys:?}");
        }
    }
}

on_both! {
    async fn matching_follows_ps3_4(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = filled(db, dir.path()).await;
        let all = ["1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4"];
        let zhang = &all[..3];
        type Case<'a> = (&'a [(Tag, &'a str)], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (&[], &all),
            (&[(tags::PATIENT_NAME, "")], &all),
            (&[(tags::PATIENT_NAME, "*")], &all),
            (&[(tags::PATIENT_NAME, "zhang^san")], zhang),
            (&[(tags::PATIENT_NAME, "ZHANG*")], zhang),
            (&[(tags::PATIENT_NAME, "*SAN")], zhang),
            (&[(tags::PATIENT_NAME, "张*")], zhang),
            (&[(tags::PATIENT_NAME, "张三")], zhang),
            (&[(tags::PATIENT_NAME, "zs")], zhang),
            (&[(tags::PATIENT_NAME, "Zhang^San=张^三")], zhang),
            (&[(tags::PATIENT_NAME, "L?^Si")], &all[3..]),
            (&[(tags::PATIENT_NAME, "Zhang")], &[]),
            (&[(tags::PATIENT_ID, "P2")], &all[1..2]),
            (&[(tags::PATIENT_ID, "P*")], &all),
            (&[(tags::PATIENT_ID, "P?")], &all),
            (&[(tags::PATIENT_ID, "%")], &[]),
            (&[(tags::PATIENT_ID, "P_*")], &[]),
            (&[(tags::ACCESSION_NUMBER, "ACC3")], &all[2..3]),
            (&[(tags::STUDY_DATE, "20260303")], &all[1..2]),
            (&[(tags::STUDY_DATE, "20260303-20260304")], &all[1..3]),
            (&[(tags::STUDY_DATE, "-20260303")], &all[..2]),
            (&[(tags::STUDY_DATE, "20260304-")], &all[2..]),
            (&[(tags::STUDY_TIME, "0800-0815")], zhang),
            (&[(tags::STUDY_TIME, "2200-")], &all[3..]),
            (&[(tags::MODALITIES_IN_STUDY, "SR")], &all[3..]),
            (&[(tags::MODALITIES_IN_STUDY, "SR\\CT")], &all),
            (&[(tags::MODALITY, "CT")], zhang),
            (&[(tags::STUDY_INSTANCE_UID, "1.2.3.1\\1.2.3.4\\9")], &["1.2.3.1", "1.2.3.4"]),
            (&[(tags::STUDY_DESCRIPTION, "胸部*")], &all),
            (&[(tags::PATIENT_BIRTH_DATE, "19800102"), (tags::PATIENT_SEX, "M"), (tags::PATIENT_ID, "P1")], &all[..1]),
            (&[(tags::PATIENT_SEX, "F")], &[]),
            (&[(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, "77")], &all),
        ];
        for (keys, expected) in cases {
            assert_eq!(studies(&bench, keys).await, *expected, "{keys:?}");
        }
        for (text, expected) in [("zhangs", 3), ("张", 3), ("ACC4", 1), ("P", 4), ("zs", 3), ("%", 0)] {
            let query = Query::all(Level::Study).text(text);
            let page = bench.archive.find_studies(&bench.read(), &query).await.unwrap();
            assert_eq!(page.items.len(), expected, "{text}");
        }
    }

    async fn series_and_instances(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = filled(db, dir.path()).await;
        let keys = [(tags::STUDY_INSTANCE_UID, "1.2.3.2".to_owned()), (tags::MODALITY, "CT".to_owned())];
        let query = Query::from_attributes(Level::Series, &keys).unwrap();
        let series = bench.archive.find_series(&bench.read(), &query).await.unwrap().items;
        assert_eq!(series.len(), 1);
        assert_eq!((&*series[0].series_uid, series[0].instances, series[0].number), ("1.2.3.2.1", 2, Some(1)));
        let keys = [(tags::SERIES_INSTANCE_UID, "1.2.3.2.1".to_owned()), (tags::INSTANCE_NUMBER, "2".to_owned())];
        let query = Query::from_attributes(Level::Instance, &keys).unwrap();
        let rows = bench.archive.find_instances(&bench.read(), &query).await.unwrap().items;
        assert_eq!(rows.len(), 1);
        let set = rows[0].attributes();
        let text = |tag| set.element(tag).unwrap().to_str().unwrap().into_owned();
        assert_eq!(text(tags::SOP_INSTANCE_UID), "1.2.3.2.1.2");
        assert_eq!(text(tags::PATIENT_NAME), "Zhang^San=张^三");
        assert_eq!(text(tags::MODALITIES_IN_STUDY), "CT");
        assert_eq!(text(tags::NUMBER_OF_STUDY_RELATED_INSTANCES), "2");
        assert_eq!(set.element(tags::ROWS).unwrap().to_int::<i32>().unwrap(), 8);
    }

    async fn pages_go_on_where_the_last_one_ended(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = filled(db, dir.path()).await;
        let mut seen = Vec::new();
        let mut query = Query::all(Level::Study).limit(1);
        loop {
            let page = bench.archive.find_studies(&bench.read(), &query).await.unwrap();
            seen.extend(page.items.into_iter().map(|row| row.study_uid));
            match page.next {
                Some(next) => query = Query::all(Level::Study).limit(1).after(&next).unwrap(),
                None => break,
            }
        }
        assert_eq!(seen, ["1.2.3.4", "1.2.3.3", "1.2.3.2", "1.2.3.1"], "newest first, each once");
        let page = bench.archive.find_instances(&bench.read(), &Query::all(Level::Instance).offset(5).limit(1)).await.unwrap();
        assert_eq!((&*page.items[0].instance.sop_uid, page.next.is_some()), ("1.2.3.3.1.2", true));
        assert!(Query::all(Level::Study).after("nonsense").is_err());
    }

    async fn other_organizations_see_nothing(db: Db) {
        struct Only(OrgId);
        impl Policy for Only {
            fn allow(&self, _: &Actor, _: &str) -> Option<Scope> {
                Some(Scope::Org(self.0))
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let bench = filled(db, dir.path()).await;
        let permit = |org| -> Permit<mingying_archive::ReadStudies> {
            let actor = Actor { kind: ActorKind::User, id: "u".into(), name: "u".into(), roles: vec![], org: Some(org) };
            Ctx::new(actor, "test", Arc::new(Only(org)), mingying_testkit::clock()).permit().unwrap()
        };
        let (own, other) = (permit(org()), permit(OrgId::new()));
        let query = Query::all(Level::Study);
        assert_eq!(bench.archive.find_studies(&own, &query).await.unwrap().items.len(), 4);
        assert!(bench.archive.find_studies(&other, &query).await.unwrap().items.is_empty());
        assert!(bench.archive.instances_of(&other, "1.2.3.1", None, None).await.unwrap().is_empty());
        assert!(bench.archive.study(&other, "1.2.3.1").await.is_err());
        assert!(bench.archive.series_of(&other, "1.2.3.1").await.unwrap().is_empty());
    }

    async fn names_in_chinese_character_sets(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let bench = open(db, dir.path()).await;
        let (gbk, _, _) = encoding_rs::GBK.encode("王^小明");
        let (gb18030, _, _) = encoding_rs::GB18030.encode("Wang^XiaoMing=王^小明");
        let cases: [(&str, Vec<u8>); 4] = [
            ("GB18030", gb18030.into_owned()),
            ("GBK", gbk.clone().into_owned()),
            ("ISO_IR 100", gbk.into_owned()),
            ("\\ISO 2022 IR 58", [b"Wang^XiaoMing=\x1b$)A".as_slice(), &[0xcd, 0xf5], b"^\x1b$)A", &[0xd0, 0xa1, 0xc3, 0xf7]].concat()),
        ];
        for (n, (charset, name)) in cases.into_iter().enumerate() {
            let mut one = slice(n as u32 + 1, 1, 1);
            put(&mut one.object, tags::SPECIFIC_CHARACTER_SET, VR::CS, charset);
            // The writer only knows text; the name goes in as raw bytes of the same length.
            let even = name.len() + name.len() % 2;
            put(&mut one.object, tags::PATIENT_NAME, VR::PN, "X".repeat(even));
            put(&mut one.object, tags::STUDY_DESCRIPTION, VR::LO, "plain");
            let mut bytes = one.bytes(EXPLICIT);
            let at = bytes.windows(even).position(|w| w.iter().all(|b| *b == b'X')).unwrap();
            bytes[at..at + even].fill(b' ');
            bytes[at..at + name.len()].copy_from_slice(&name);
            bench.send_bytes(one.meta(EXPLICIT), &bytes).await.unwrap();
            let study = bench.archive.study(&bench.read(), &one.study).await.unwrap();
            assert_eq!(study.patient_name.display(), "王小明", "{charset}");
            let refs = bench.archive.instances_of(&bench.read(), &one.study, None, None).await.unwrap();
            let header = bench.archive.header(&refs[0]).await.unwrap();
            let shown = header.element(tags::PATIENT_NAME).unwrap().to_str().unwrap().into_owned();
            assert!(shown.contains('王') && shown.contains("小明"), "{charset}: {shown}");
        }
        assert_eq!(studies(&bench, &[(tags::PATIENT_NAME, "WANG^XIAOMING")]).await.len(), 4);
    }
}

#[tokio::test]
async fn every_kind_of_query_uses_an_index() {
    let test = mingying_testkit::sqlite().await;
    let bench = filled(test.db.clone(), test.dir.path()).await;
    let keys: &[(Level, Tag, &str)] = &[
        (Level::Study, tags::PATIENT_ID, "P1"),
        (Level::Study, tags::PATIENT_ID, "P*"),
        (Level::Study, tags::PATIENT_NAME, "ZHANG*"),
        (Level::Study, tags::PATIENT_NAME, "zs"),
        (Level::Study, tags::ACCESSION_NUMBER, "ACC1"),
        (Level::Study, tags::STUDY_DATE, "20260301-20260302"),
        (Level::Study, tags::PATIENT_BIRTH_DATE, "19800102"),
        (Level::Study, tags::STUDY_INSTANCE_UID, "1.2.3.1"),
        (Level::Series, tags::STUDY_INSTANCE_UID, "1.2.3.1"),
        (Level::Series, tags::SERIES_INSTANCE_UID, "1.2.3.1.1"),
        (Level::Instance, tags::SOP_INSTANCE_UID, "1.2.3.1.1.1"),
        (Level::Instance, tags::SERIES_INSTANCE_UID, "1.2.3.1.1"),
        (Level::Instance, tags::STUDY_INSTANCE_UID, "1.2.3.1"),
    ];
    for (level, tag, value) in keys {
        let query = Query::from_attributes(*level, &[(*tag, (*value).to_owned())]).unwrap();
        let plan = bench.archive.explain(&query, 5000).await.unwrap();
        assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{level:?} {tag}: {plan:?}");
        assert!(!plan.iter().any(|step| scans_a_table(step)), "{level:?} {tag}: {plan:?}");
    }
    let text = Query::all(Level::Study).text("zhang");
    let few = bench.archive.explain(&text, 5000).await.unwrap();
    assert!(!few.iter().any(|step| scans_a_table(step)), "{few:?}");
    // What many studies match, and everything, comes newest first in the order of an index, without sorting.
    let name = Query::from_attributes(Level::Study, &[(tags::PATIENT_NAME, "ZHANG*".to_owned())]).unwrap();
    let identifier = Query::from_attributes(Level::Study, &[(tags::PATIENT_ID, "P*".to_owned())]).unwrap();
    let modality = Query::from_attributes(Level::Study, &[(tags::MODALITIES_IN_STUDY, "CT".to_owned())]).unwrap();
    for query in [Query::all(Level::Study), text, name, identifier, modality] {
        let plan = bench.archive.explain(&query, 0).await.unwrap();
        let ordered = plan.iter().any(|step| step.contains("st USING INDEX studies_date"));
        assert!(ordered && !plan.iter().any(|s| s.contains("TEMP B-TREE")), "{plan:?}");
    }
}

/// Whether a step of a plan reads a whole table. Lists of keys made on the way are read whole as a matter of course.
fn scans_a_table(step: &str) -> bool {
    ["st", "se", "i", "n", "m", "p", "a"]
        .iter()
        .any(|name| step == format!("SCAN {name}") || step.starts_with(&format!("SCAN {name} ")))
}
