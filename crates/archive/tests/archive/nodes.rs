//! Several nodes on one PostgreSQL database, in one process: each with a folder of its own, some with one bucket.

use crate::objects::*;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use mingying_archive::{
    Archive, ArchiveError, Lease, Myself, NodeState, Nodes, ReadStorage, Settings, StoreKind, Tiering,
};
use mingying_blob::simbucket::{Fault, SimBucket};
use mingying_blob::{BlobError, Blobs, Bucket, Neighbours, Tier, Tiers, store_of};
use mingying_db::Db;
use mingying_kernel::{Coded as _, ErrorKind, ManualClock};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The network: which archive answers for which store.
#[derive(Clone, Default)]
struct Network(Arc<Mutex<HashMap<u32, Archive>>>);

struct Reach {
    network: Network,
    nodes: Arc<Nodes>,
}

impl Neighbours for Reach {
    fn read(&self, pack: u64, range: Range<u64>) -> BoxFuture<'static, Result<bytes::Bytes, BlobError>> {
        let there = self.network.0.lock().unwrap().get(&store_of(pack)).cloned();
        async move {
            match there.ok_or(BlobError::Unavailable)?.raw(pack, range).await {
                Ok(bytes) => Ok(bytes),
                Err(ArchiveError::Blob(error)) => Err(error),
                Err(_) => Err(BlobError::Unavailable),
            }
        }
        .boxed()
    }

    fn knows(&self, store: u32) -> bool {
        self.nodes.knows(store)
    }
}

struct Node {
    bench: Bench,
    nodes: Arc<Nodes>,
    folder: PathBuf,
}

/// Nobody is dead unless a test says so.
const CALM: Lease =
    Lease { beat: Duration::from_secs(3), dead: Duration::from_hours(1), stopped: Duration::from_hours(1) };
/// Everybody whose last sign of life was seen is dead at once.
const HASTY: Lease = Lease { beat: Duration::ZERO, dead: Duration::ZERO, stopped: Duration::ZERO };

struct Site {
    db: Db,
    clock: Arc<ManualClock>,
    dir: PathBuf,
    network: Network,
    bucket: Option<SimBucket>,
}

impl Drop for Site {
    /// Each archive reaches the others through the network.
    fn drop(&mut self) {
        self.network.0.lock().unwrap().clear();
    }
}

impl Site {
    fn new(db: Db, dir: &Path) -> Self {
        Self { db, clock: mingying_testkit::clock(), dir: dir.to_owned(), network: Network::default(), bucket: None }
    }

    async fn join(&self, name: &str, lease: Lease) -> Result<Arc<Nodes>, ArchiveError> {
        self.join_with(name, lease, "same").await
    }

    async fn join_with(&self, name: &str, lease: Lease, key: &str) -> Result<Arc<Nodes>, ArchiveError> {
        let me = Myself {
            id: name.to_owned(),
            name: name.to_owned(),
            address: format!("http://{name}"),
            certificate: String::new(),
            key_check: key.to_owned(),
            version: "test".to_owned(),
            adopt_from: Vec::new(),
            lease,
        };
        Ok(Arc::new(Nodes::join(self.db.clone(), self.clock.clone(), me).await?))
    }

    fn blob_settings(&self, name: &str) -> mingying_blob::Settings {
        let objects = self.bucket.clone().map(|store| Bucket {
            store: Arc::new(store),
            prefix: "hospital".to_owned(),
            patience: Duration::from_millis(200),
            recall: self.dir.join(name).join("recall"),
            recall_size: 1 << 20,
            piece: 4096,
        });
        let tiers = Tiers { large: None, objects };
        mingying_blob::Settings { pack_size: 6000, tiers, ..stored() }
    }

    /// Starts a node in the first of its folders that is still its own.
    async fn start(&self, name: &str, lease: Lease) -> Node {
        let nodes = self.join(name, lease).await.unwrap();
        for number in 1.. {
            let folder = self.dir.join(name).join(format!("blobs-{number}"));
            let blobs = Blobs::open(&folder, self.blob_settings(name)).unwrap();
            if !nodes.claim(StoreKind::Originals, blobs.store(), &folder).await.unwrap() {
                continue;
            }
            blobs.connect(Arc::new(Reach { network: self.network.clone(), nodes: nodes.clone() }));
            let store = blobs.store();
            let tiering = Tiering { rate: 0, share_after: Some(Duration::from_mins(1)), ..Tiering::default() };
            let settings = Settings { nodes: Some(nodes.clone()), tiering, ..Settings::new(org()) };
            let bench = open_with(self.db.clone(), blobs, self.clock.clone(), settings).await.unwrap();
            self.network.0.lock().unwrap().insert(store, bench.archive.clone());
            return Node { bench, nodes, folder };
        }
        unreachable!()
    }

    fn cut(&self, node: &Node) {
        self.network.0.lock().unwrap().remove(&node.store());
    }
}

impl Node {
    fn store(&self) -> u32 {
        self.bench.archive.blobs().store()
    }

    async fn send(&self, study: u32, count: u32) {
        for i in 1..=count {
            self.bench.send(&slice(study, 1, i)).await.unwrap();
        }
    }

    /// Reads every instance of a study and compares it with what was sent; the first error.
    async fn read(&self, study: u32, count: u32) -> Result<(), ArchiveError> {
        let found = self.bench.archive.instances_of(&self.bench.read(), &format!("1.2.3.{study}"), None, None).await?;
        assert_eq!(found.len(), count as usize);
        for (instance, i) in found.iter().zip(1..) {
            let all = self.bench.archive.read(instance, 0, u64::MAX).await?;
            assert!(all[instance.head_len as usize..] == slice(study, 1, i).bytes(EXPLICIT));
            self.bench.archive.header(instance).await?;
        }
        Ok(())
    }

    fn states(&self) -> Vec<(String, NodeState)> {
        let permit = self.bench.ctx.permit::<ReadStorage>().unwrap();
        self.bench.archive.node_list(&permit).into_iter().map(|node| (node.row.name, node.state)).collect()
    }

    async fn share_all(&self) {
        while self.bench.archive.share_packs().await.unwrap().is_some() {}
    }
}

/// Each test with plain packs and with encrypted ones.
macro_rules! plain_and_encrypted {
    ($($(#[$meta:meta])* async fn $name:ident() $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn body() $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn plain() {
                body().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn encrypted() {
                encrypt();
                body().await;
            }
        }
    )+};
}

/// A bucket whose trouble is over in a moment.
fn unavailable(done: Result<(), ArchiveError>) {
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

plain_and_encrypted! {
    async fn a_node_reads_what_another_one_holds_and_says_try_again_when_it_cannot() {
        let test = mingying_testkit::postgres().await;
        let site = Site::new(test.db.clone(), test.dir.path());
        let a = site.start("a", CALM).await;
        let b = site.start("b", CALM).await;
        a.send(1, 20).await;
        b.send(2, 5).await;
        b.read(1, 20).await.unwrap();
        a.nodes.look().await.unwrap();
        a.read(2, 5).await.unwrap();
        assert!(b.nodes.holder(a.store()).is_some() && b.nodes.holder(b.store()).is_none());

        // Out of reach is neither missing nor damaged, for a reader and for checks.
        site.cut(&a);
        unavailable(b.read(1, 20).await);
        let verified = b.bench.archive.verify().await.unwrap();
        assert!(verified.intact(), "{verified:?}");
        while !matches!(b.bench.archive.scrub().await.unwrap(), mingying_archive::Scrubbed::Idle) {}
        assert_eq!(b.bench.count("SELECT COUNT(*) FROM damages").await, 0);
        assert_eq!(b.bench.count("SELECT COUNT(*) FROM quarantine").await, 0);
        b.read(2, 5).await.unwrap();

        // What another node deleted is gone here as well, and comes back from there.
        let target = mingying_archive::Target::study("1.2.3.1");
        let deleted = b.bench.archive.delete(&b.bench.delete(), &target, mingying_archive::Reason::Quality, "").await;
        assert_eq!(deleted.unwrap().instances, 20);
        a.read(1, 0).await.unwrap();
        site.network.0.lock().unwrap().insert(a.store(), a.bench.archive.clone());
        let deletion = b.bench.archive.deletions(&b.bench.delete(), &Default::default(), 1, None).await.unwrap().remove(0);
        b.bench.archive.restore_deleted(&b.bench.delete(), deletion.id).await.unwrap();
        a.read(1, 20).await.unwrap();
        b.read(1, 20).await.unwrap();

        let other = site.join_with("c", CALM, "another").await;
        assert!(matches!(other.err(), None | Some(ArchiveError::OtherKey { .. })));
    }

    async fn bytes_that_another_node_sends_wrong_are_never_given_out() {
        struct Liar(Arc<Nodes>, Archive);
        impl Neighbours for Liar {
            fn read(&self, pack: u64, range: Range<u64>) -> BoxFuture<'static, Result<bytes::Bytes, BlobError>> {
                let there = self.1.clone();
                async move {
                    let mut bytes = there.raw(pack, range).await.map_err(|_| BlobError::Unavailable)?.to_vec();
                    let middle = bytes.len() / 2;
                    bytes.get_mut(middle).into_iter().for_each(|byte| *byte ^= 1);
                    Ok(bytes.into())
                }
                .boxed()
            }

            fn knows(&self, store: u32) -> bool {
                self.0.knows(store)
            }
        }
        let test = mingying_testkit::postgres().await;
        let site = Site::new(test.db.clone(), test.dir.path());
        let a = site.start("a", CALM).await;
        a.send(1, 1).await;
        let nodes = site.join("b", CALM).await.unwrap();
        let folder = test.dir.path().join("b");
        let blobs = Blobs::open(&folder, site.blob_settings("b")).unwrap();
        blobs.connect(Arc::new(Liar(nodes.clone(), a.bench.archive.clone())));
        let settings = Settings { nodes: Some(nodes), ..Settings::new(org()) };
        let b = open_with(site.db.clone(), blobs, site.clock.clone(), settings).await.unwrap();
        let found = b.archive.instances_of(&b.read(), "1.2.3.1", None, None).await.unwrap();
        assert!(b.archive.read(&found[0], 0, u64::MAX).await.is_err());
    }

    async fn a_dead_nodes_store_is_taken_over_by_one_and_the_dead_writes_no_more() {
        let test = mingying_testkit::postgres().await;
        let site = Site::new(test.db.clone(), test.dir.path());
        let a = site.start("a", CALM).await;
        a.send(1, 30).await;
        a.bench.archive.flush().await.unwrap();
        let (b, c) = (site.start("b", HASTY).await, site.start("c", HASTY).await);
        site.cut(&a);
        // As long as the process holds the folder nobody takes it.
        assert_eq!(b.bench.archive.take_over().await.unwrap(), 0);
        // It is paused, and the lock of a shared disk has run out; b and c look at the same moment.
        std::fs::remove_file(a.folder.join("held")).unwrap();
        let taking = async |node: &Node| node.bench.archive.take_over().await.unwrap();
        let (by_b, by_c) = tokio::join!(taking(&b), taking(&c));
        // Each of them counts as dead to the other as well, but holds its folder.
        assert_eq!(by_b + by_c, 1, "{by_b} {by_c}");
        let (heir, other) = if by_b == 1 { (&b, &c) } else { (&c, &b) };
        heir.read(1, 30).await.unwrap();
        site.network.0.lock().unwrap().insert(a.store(), heir.bench.archive.clone());
        other.nodes.look().await.unwrap();
        other.read(1, 30).await.unwrap();
        assert!(heir.states().contains(&("a".to_owned(), NodeState::Adopted)));

        // The paused one comes back and does not know: nothing of what it writes counts, and it learns that it has to end.
        let rows = "SELECT COUNT(*) FROM instances";
        let events = "SELECT COUNT(*) FROM events";
        let before = (a.bench.count(rows).await, a.bench.count(events).await);
        assert!(a.bench.send(&slice(1, 1, 31)).await.is_err());
        assert_eq!((a.bench.count(rows).await, a.bench.count(events).await), before);
        assert!(!a.nodes.beat().await.unwrap() && a.bench.archive.is_lost());
        assert!(a.bench.send(&slice(1, 1, 32)).await.is_err());

        // A new start of it begins a new store, and all see all.
        let again = site.start("a", CALM).await;
        assert_ne!(again.store(), a.store());
        assert_ne!(again.folder, a.folder);
        again.send(3, 4).await;
        again.read(1, 30).await.unwrap();
        heir.nodes.look().await.unwrap();
        heir.read(3, 4).await.unwrap();
        assert_eq!(heir.bench.count(rows).await, 34);
        assert_eq!(heir.bench.count("SELECT CAST(SUM(instance_count) AS BIGINT) FROM studies").await, 34);
        for node in [heir, other, &again] {
            let verified = node.bench.archive.verify().await.unwrap();
            assert!(verified.intact(), "{}: {verified:?}", node.folder.display());
        }
    }

    async fn what_the_index_lost_with_a_node_comes_back_when_it_is_taken_over() {
        let test = mingying_testkit::postgres().await;
        let site = Site::new(test.db.clone(), test.dir.path());
        let a = site.start("a", CALM).await;
        a.send(1, 12).await;
        a.bench.archive.close().await;
        // The database lost the last commits, which were not synced: their rows, and with them the checkpoints.
        let newest = a.bench.archive.blobs().newest().unwrap();
        for sql in ["DELETE FROM instances WHERE pack = $1", "DELETE FROM pack_checkpoints WHERE pack = $1"] {
            site.db.execute(sql, mingying_db::params![newest]).await.unwrap();
        }
        site.db
            .execute(
                "UPDATE studies SET instance_count = (SELECT COUNT(*) FROM instances), \
                 announced = (SELECT COUNT(*) FROM instances)",
                mingying_db::params![],
            )
            .await
            .unwrap();
        assert!(a.bench.count("SELECT COUNT(*) FROM instances").await < 12);
        drop(a);
        site.network.0.lock().unwrap().clear();
        let b = site.start("b", HASTY).await;
        assert_eq!(b.bench.archive.take_over().await.unwrap(), 1);
        b.read(1, 12).await.unwrap();
        // It keeps what it took over, also over a start of its own.
        drop(b);
        site.network.0.lock().unwrap().clear();
        let b = site.start("b", HASTY).await;
        assert_eq!(b.bench.archive.take_over().await.unwrap(), 1);
        b.read(1, 12).await.unwrap();
        assert_eq!(b.bench.count("SELECT instance_count FROM studies").await, 12);
    }

    async fn shared_packs_are_read_without_the_node_that_made_them() {
        let test = mingying_testkit::postgres().await;
        let bucket = SimBucket::new();
        let mut site = Site::new(test.db.clone(), test.dir.path());
        site.bucket = Some(bucket.clone());
        let (a, b) = (site.start("a", CALM).await, site.start("b", CALM).await);
        a.send(1, 20).await;
        b.send(2, 20).await;
        a.share_all().await;
        let shared = |node: &Node| node.bench.archive.blobs().homes().iter().filter(|home| home.shared).count();
        let packs = a.bench.archive.blobs().packs().len();
        assert_eq!(shared(&a), packs - 1, "the one that is written stays until it is old enough");
        site.clock.advance(Duration::from_secs(61));
        a.share_all().await;
        assert_eq!(shared(&a), packs, "then it is ended");
        assert_eq!(a.bench.archive.share_packs().await.unwrap(), None, "and an empty one is not");
        // Two stores behind one prefix, of one installation.
        b.share_all().await;
        assert!(shared(&b) > 2);
        assert!(a.bench.archive.blobs().homes().iter().all(|home| home.tier == Tier::Fast), "they stay near as well");

        site.cut(&a);
        b.read(1, 20).await.unwrap();
        bucket.set(Fault::Fails);
        a.read(1, 20).await.unwrap();
        bucket.set(Fault::None);

        // Moved later, the copy that is there serves; compacted, it goes.
        a.bench.archive.close().await;
        let blobs = Blobs::open(&a.folder, site.blob_settings("a")).unwrap();
        let home = blobs.homes()[0];
        assert!(home.shared, "known after a start");
        blobs.move_pack(home.id, Tier::Objects, |_| async {}).await.unwrap();
        assert_eq!((blobs.homes()[0].tier, blobs.homes()[0].shared), (Tier::Objects, false));
        b.read(1, 20).await.unwrap();
        let second = blobs.homes()[1];
        blobs.remove(second.id).await.unwrap();
        assert!(!bucket.names().await.contains(&format!("{:016x}.pack", second.id)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_another_nodes_key_nothing_is_damaged_and_nothing_is_taken_over() {
    let test = mingying_testkit::postgres().await;
    let site = Site::new(test.db.clone(), test.dir.path());
    let (one, two) = (new_key(), new_key());
    encrypt_with(with_key(&one, &[]));
    let a = site.start("a", CALM).await;
    a.send(1, 8).await;
    encrypt_with(with_key(&two, &[]));
    let b = site.start("b", HASTY).await;
    b.send(2, 3).await;
    let locked = b.read(1, 8).await.unwrap_err();
    assert_eq!((locked.code(), locked.kind()), ("blob.locked", ErrorKind::Unavailable));
    a.nodes.look().await.unwrap();
    assert_eq!(a.read(2, 3).await.unwrap_err().code(), "blob.locked");
    for node in [&a, &b] {
        assert!(node.bench.archive.verify().await.unwrap().intact());
        while !matches!(node.bench.archive.scrub().await.unwrap(), mingying_archive::Scrubbed::Idle) {}
    }
    assert_eq!(b.bench.count("SELECT COUNT(*) FROM damages").await, 0);

    a.bench.archive.close().await;
    drop(a);
    site.network.0.lock().unwrap().clear();
    assert_eq!(b.bench.archive.take_over().await.unwrap(), 0);
    assert!(b.states().contains(&("a".to_owned(), NodeState::Dead)), "left to who has its key");
    b.bench.archive.close().await;
    drop(b);
    encrypt_with(with_key(&two, &[&one]));
    let b = site.start("b", HASTY).await;
    assert_eq!(b.bench.archive.take_over().await.unwrap(), 1);
    b.read(1, 8).await.unwrap();
    b.read(2, 3).await.unwrap();
}
