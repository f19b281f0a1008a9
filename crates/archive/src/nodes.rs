//! Several nodes on one database: who lives, who holds which store, and who takes over from the dead.
//!
//! A node shows that it lives by a number that grows. The others watch it by their own clocks, so that a clock that is
//! wrong kills nobody. Which session may index a store is a column that each commit of the index looks at, in the
//! statement that moves the checkpoint: a node that was thought dead and is not gets nothing into the index any more,
//! hence acknowledges nothing, whatever it still writes. A store that another node has held is never written again.

use crate::store;
use crate::{Archive, ArchiveError, ReadStorage, replay};
use mingying_blob::{BlobError, Neighbours, Tier, store_of};
use mingying_db::{Db, Engine};
use mingying_kernel::{JobId, Permit, SharedClock, Timestamp};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// In the folder of a store: locked by the process that holds it.
const HELD: &str = "held";

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct Myself {
    /// Of the data folder; stays when the process or the address changes.
    pub id: String,
    pub name: String,
    /// `https://…`, or `http://…` on this machine alone; empty: others cannot reach it.
    pub address: String,
    /// SHA-256 of its certificate in hexadecimal; empty without TLS.
    pub certificate: String,
    /// The same on all nodes that have the same key.
    pub key_check: String,
    pub version: String,
    /// Data folders of other nodes as they are reached here, beside where these say they are.
    pub adopt_from: Vec<PathBuf>,
    pub lease: Lease,
}

/// How long a node is taken to live.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// From one sign of life to the next.
    pub beat: Duration,
    /// So long without one, and a node is dead.
    pub dead: Duration,
    /// So long after it was stopped in good order its stores are taken over, too.
    pub stopped: Duration,
}

impl Default for Lease {
    fn default() -> Self {
        Self { beat: Duration::from_secs(3), dead: Duration::from_secs(12), stopped: Duration::from_mins(2) }
    }
}

/// What a store of packs holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Originals,
    Siblings,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Originals => "originals",
            Self::Siblings => "siblings",
        }
    }
}

/// A node as the database knows it.
#[derive(Debug, Clone)]
pub struct NodeRow {
    pub id: String,
    pub name: String,
    pub address: String,
    pub certificate: String,
    pub key_check: String,
    pub version: String,
    pub session: String,
    pub started_at: Timestamp,
    pub beat: i64,
    pub seen_at: Timestamp,
    pub stopped: bool,
}

/// A store and who holds it.
#[derive(Debug, Clone)]
pub struct StoreRow {
    pub store: u32,
    pub kind: Kind,
    pub node_id: String,
    pub holder: String,
    pub folder: PathBuf,
    pub made_by: String,
    pub since: Timestamp,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    Alive,
    /// Stopped in good order.
    Stopped,
    Dead,
    /// Dead or stopped, and others hold what it held.
    Adopted,
}

impl NodeState {
    pub const ALL: [Self; 4] = [Self::Alive, Self::Stopped, Self::Dead, Self::Adopted];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Stopped => "stopped",
            Self::Dead => "dead",
            Self::Adopted => "adopted",
        }
    }
}

/// A node, for whoever runs the installation.
#[derive(Debug, Clone)]
pub struct Node {
    pub row: NodeRow,
    pub state: NodeState,
    /// It is the one that says so.
    pub me: bool,
    /// Stores of originals that it holds: its own, and those it took over.
    pub stores: Vec<u32>,
    /// Of these, those that another node began.
    pub adopted: Vec<u32>,
}

/// Where a store's packs are asked for.
#[derive(Debug, Clone)]
pub struct Holder {
    pub address: String,
    pub certificate: String,
}

struct Seen {
    row: NodeRow,
    changed: Instant,
}

#[derive(Default)]
struct View {
    nodes: HashMap<String, Seen>,
    stores: HashMap<u32, StoreRow>,
}

/// The nodes of the installation as this one sees them.
pub struct Nodes {
    db: Db,
    clock: SharedClock,
    me: Myself,
    session: String,
    view: RwLock<View>,
    lost: AtomicBool,
    held: Mutex<HashMap<u32, File>>,
}

impl Nodes {
    /// Begins a session of this node. `OtherKey` when other nodes of the installation have another key.
    pub async fn join(db: Db, clock: SharedClock, me: Myself) -> Result<Self, ArchiveError> {
        let now = clock.now();
        let row = NodeRow {
            id: me.id.clone(),
            name: me.name.clone(),
            address: me.address.clone(),
            certificate: me.certificate.clone(),
            key_check: me.key_check.clone(),
            version: me.version.clone(),
            session: JobId::new().to_string(),
            started_at: now,
            beat: 1,
            seen_at: now,
            stopped: false,
        };
        let single = db.engine() == Engine::Sqlite;
        if !single {
            let others = store::nodes(&db).await?;
            // What died long ago does not say which key is right.
            let lives = |node: &&NodeRow| !node.stopped && now.since(node.seen_at) < Duration::from_mins(1);
            let differs = |node: &&NodeRow| node.id != me.id && node.key_check != me.key_check;
            if let Some(other) = others.iter().filter(lives).find(differs) {
                return Err(ArchiveError::OtherKey { node: other.name.clone() });
            }
        }
        store::join(&db, &row).await?;
        if single {
            store::claim_all(&db, &row).await?;
        }
        let nodes = Self {
            db,
            clock,
            session: row.session,
            me,
            view: RwLock::default(),
            lost: AtomicBool::new(false),
            held: Mutex::default(),
        };
        nodes.look().await?;
        Ok(nodes)
    }

    /// Notes that this node holds the store that it writes into `folder`. `false` when another node has taken it over:
    /// then it must not be written.
    pub async fn claim(&self, kind: Kind, store: u32, folder: &Path) -> Result<bool, ArchiveError> {
        let row = StoreRow {
            store,
            kind,
            node_id: self.me.id.clone(),
            holder: self.session.clone(),
            folder: folder.to_owned(),
            made_by: self.me.id.clone(),
            since: self.clock.now(),
        };
        if !store::claim_store(&self.db, &row).await? {
            return Ok(false);
        }
        if kind == Kind::Originals && !self.hold(store, folder)? {
            return Err(ArchiveError::Held);
        }
        self.look().await?;
        Ok(true)
    }

    /// Locks a store's folder as long as this process lives. `false` when another process has it.
    fn hold(&self, store: u32, folder: &Path) -> Result<bool, ArchiveError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains_key(&store) {
            return Ok(true);
        }
        let opened = File::options().create(true).truncate(false).write(true).open(folder.join(HELD));
        let file = opened.map_err(BlobError::from)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                held.insert(store, file);
                Ok(true)
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(BlobError::from(std::io::Error::from(error)).into()),
        }
    }

    fn release(&self, store: u32) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&store);
    }

    /// Looks at what the database says.
    pub async fn look(&self) -> Result<(), ArchiveError> {
        let (nodes, stores) = (store::nodes(&self.db).await?, store::stores(&self.db).await?);
        let now = Instant::now();
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut view.nodes);
        for row in nodes {
            let same = before
                .remove(&row.id)
                .filter(|seen| seen.row.beat == row.beat && seen.row.session == row.session)
                .map(|seen| seen.changed);
            view.nodes.insert(row.id.clone(), Seen { changed: same.unwrap_or(now), row });
        }
        view.stores = stores.into_iter().map(|row| (row.store, row)).collect();
        Ok(())
    }

    /// Shows that this node lives, and looks who else does. `false` when this process has lost what it held: another
    /// start of the node has followed, or another node took its store. It must end.
    pub async fn beat(&self) -> Result<bool, ArchiveError> {
        let mine = store::beat(&self.db, &self.me.id, &self.session, self.clock.now()).await?;
        self.look().await?;
        let held: Vec<u32> = self.held.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        let view = self.view();
        let holds = |store: &u32| view.stores.get(store).is_some_and(|row| row.holder == self.session);
        let good = mine && held.iter().all(holds);
        if !good {
            self.lost.store(true, Ordering::Release);
        }
        Ok(good)
    }

    /// Whether this process may write no more.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Notes that this node ends in good order.
    pub async fn leave(&self) -> Result<(), ArchiveError> {
        Ok(store::leave(&self.db, &self.me.id, &self.session, self.clock.now()).await?)
    }

    fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without which no commit of the index of a registered store succeeds.
    pub(crate) fn session(&self) -> &str {
        &self.session
    }

    pub fn lease(&self) -> Lease {
        self.me.lease
    }

    /// Whether there is another node that has not been stopped for good.
    pub fn has_others(&self) -> bool {
        self.view().nodes.keys().any(|id| *id != self.me.id)
    }

    /// Whether any node of the installation has begun this store.
    pub fn knows(&self, store: u32) -> bool {
        self.view().stores.contains_key(&store)
    }

    /// Stores of a kind that nodes hold.
    pub(crate) fn stores(&self, kind: Kind) -> HashSet<u32> {
        self.view().stores.values().filter(|row| row.kind == kind).map(|row| row.store).collect()
    }

    /// Who gives the packs of a store: another node that lives. `None` when there is none.
    pub fn holder(&self, store: u32) -> Option<Holder> {
        let view = self.view();
        let node = &view.stores.get(&store)?.node_id;
        let seen = view.nodes.get(node).filter(|seen| *node != self.me.id && self.lives(seen))?;
        let reachable = !seen.row.address.is_empty();
        reachable.then(|| Holder { address: seen.row.address.clone(), certificate: seen.row.certificate.clone() })
    }

    fn lives(&self, seen: &Seen) -> bool {
        !seen.row.stopped && seen.changed.elapsed() < self.me.lease.dead
    }

    /// All nodes. One that this process has not watched for long enough counts as alive while its own clock says so.
    pub fn all(&self) -> Vec<Node> {
        let view = self.view();
        let now = self.clock.now();
        let stale = self.me.lease.dead + self.me.lease.beat;
        let mut nodes: Vec<Node> = view
            .nodes
            .values()
            .map(|seen| {
                let me = seen.row.id == self.me.id;
                let of_it = view.stores.values().filter(|row| row.kind == Kind::Originals);
                let mut stores: Vec<&StoreRow> = of_it.filter(|row| row.node_id == seen.row.id).collect();
                stores.sort_by_key(|row| row.store);
                let began = view.stores.values().any(|row| row.made_by == seen.row.id && row.node_id != seen.row.id);
                let silent = !self.lives(seen) || now.since(seen.row.seen_at) > stale;
                let state = match (me, seen.row.stopped) {
                    (true, _) => NodeState::Alive,
                    _ if (silent || seen.row.stopped) && stores.is_empty() && began => NodeState::Adopted,
                    (_, true) => NodeState::Stopped,
                    _ if silent => NodeState::Dead,
                    _ => NodeState::Alive,
                };
                Node {
                    row: seen.row.clone(),
                    state,
                    me,
                    adopted: stores.iter().filter(|row| row.made_by != seen.row.id).map(|row| row.store).collect(),
                    stores: stores.iter().map(|row| row.store).collect(),
                }
            })
            .collect();
        nodes.sort_by(|a, b| (&a.row.name, &a.row.id).cmp(&(&b.row.name, &b.row.id)));
        nodes
    }

    /// Stores of nodes that are dead, with what was last seen of these.
    fn orphans(&self) -> Vec<(StoreRow, NodeRow)> {
        let view = self.view();
        let gone = |seen: &Seen| {
            let wait = if seen.row.stopped { self.me.lease.stopped } else { self.me.lease.dead };
            seen.changed.elapsed() >= wait
        };
        let originals = view.stores.values().filter(|row| row.kind == Kind::Originals && row.node_id != self.me.id);
        originals
            .filter_map(|row| {
                let seen = view.nodes.get(&row.node_id).filter(|seen| gone(seen))?;
                Some((row.clone(), seen.row.clone()))
            })
            .collect()
    }

    /// Stores that another node began and that this one holds.
    fn taken_over(&self) -> Vec<StoreRow> {
        let view = self.view();
        let mine =
            |row: &&StoreRow| row.kind == Kind::Originals && row.node_id == self.me.id && row.holder == self.session;
        view.stores.values().filter(mine).cloned().collect()
    }

    /// Where a store can be reached from here: where its node says, or in the same folder of a data folder that is named
    /// here.
    fn folders(&self, row: &StoreRow) -> Vec<PathBuf> {
        let name = row.folder.file_name();
        let named = self.me.adopt_from.iter().filter_map(|data| Some(data.join(name?)));
        std::iter::once(row.folder.clone()).chain(named).filter(|folder| folder.join("packs").is_dir()).collect()
    }
}

impl Archive {
    /// The nodes, when the archive was opened as one of several.
    pub fn node_list(&self, _: &Permit<ReadStorage>) -> Vec<Node> {
        self.nodes().map(Nodes::all).unwrap_or_default()
    }

    pub(crate) fn nodes(&self) -> Option<&Nodes> {
        self.settings().nodes.as_deref()
    }

    /// Whether this process has lost its store to another and must end.
    pub fn is_lost(&self) -> bool {
        self.nodes().is_some_and(Nodes::is_lost)
    }

    /// From now on siblings that other nodes keep are read from these; the store of originals is connected before it is
    /// opened. Once; on a Tokio runtime.
    pub fn connect(&self, neighbours: Arc<dyn Neighbours>) {
        self.siblings().connect(neighbours);
    }

    /// Bytes of a pack of this node as they lie on its disks, for another node.
    pub async fn raw(&self, pack: u64, range: std::ops::Range<u64>) -> Result<bytes::Bytes, ArchiveError> {
        match self.blobs().raw(pack, range.clone()).await {
            Err(BlobError::NotFound) => Ok(self.siblings().raw(pack, range).await?),
            raw => Ok(raw?),
        }
    }

    /// Takes the stores over that this node holds or that dead nodes leave behind, as far as their folders can be reached
    /// here: replays their packs, so that everything acknowledged is in the index, and serves them. How many.
    pub async fn take_over(&self) -> Result<usize, ArchiveError> {
        let Some(nodes) = self.nodes() else { return Ok(0) };
        let mut taken = 0;
        let here: HashSet<u32> = self.blobs().adopted_stores().into_iter().chain([self.blobs().store()]).collect();
        for row in nodes.taken_over() {
            if !here.contains(&row.store) && self.open_taken(nodes, &row).await? {
                taken += 1;
            }
        }
        for (mut row, seen) in nodes.orphans() {
            for folder in nodes.folders(&row) {
                // The folder of the same name on this machine may be another store's.
                if let Err(error) = self.blobs().open_store(&folder, row.store) {
                    if let BlobError::Locked(_) = error {
                        tracing::warn!(node = seen.name, %error, "the store of a dead node is left to a node with its key");
                    }
                    continue;
                }
                if !nodes.hold(row.store, &folder)? {
                    continue;
                }
                row.folder = folder;
                let by = (nodes.me.id.as_str(), nodes.session());
                if !store::take_over(self.db(), &row, &seen, by, self.clock().now()).await? {
                    nodes.release(row.store);
                    break;
                }
                tracing::warn!(node = seen.name, folder = %row.folder.display(), "taking over the store of a dead node");
                nodes.look().await?;
                if self.open_taken(nodes, &row).await? {
                    taken += 1;
                }
                break;
            }
        }
        Ok(taken)
    }

    /// Replays and serves a store that this node holds and another one began.
    async fn open_taken(&self, nodes: &Nodes, row: &StoreRow) -> Result<bool, ArchiveError> {
        if !row.folder.join("packs").is_dir() || !nodes.hold(row.store, &row.folder)? {
            tracing::warn!(folder = %row.folder.display(), "a store that was taken over cannot be reached");
            return Ok(false);
        }
        let opened = match self.blobs().open_store(&row.folder, row.store) {
            Ok(opened) => opened,
            Err(BlobError::NotFound) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let ctx = self.house_ctx();
        let replayed = replay::replay(self.db(), &opened, &ctx, Some(nodes.session())).await?;
        self.blobs().attach(&opened);
        tracing::info!(records = replayed.records, "a store was taken over");
        Ok(true)
    }

    /// Ends the pack that is written when it is old enough, and puts a copy of the next sealed pack into the object
    /// store; its bytes, `None` when none is due. Where packs are not shared nothing is due.
    pub async fn share_packs(&self) -> Result<Option<u64>, ArchiveError> {
        let Some(after) = self.shares_after() else { return Ok(None) };
        let (blobs, now) = (self.blobs(), self.clock().now());
        blobs.seal(now.minus(after), now).await?;
        let due =
            |pack: &mingying_blob::PackHome| pack.sealed_at.is_some() && !pack.shared && pack.tier != Tier::Objects;
        let homes: Vec<_> = blobs.homes().into_iter().filter(due).collect();
        if homes.is_empty() {
            return Ok(None);
        }
        let indexed = store::checkpoints(self.db()).await?;
        // One that was begun and never written has no checkpoint.
        let whole = |pack: &&mingying_blob::PackHome| indexed.get(&pack.id).is_some_and(|to| *to >= pack.len);
        let Some(pack) = homes.iter().find(whole) else { return Ok(None) };
        let shared = blobs.share_pack(pack.id, |bytes| self.pace_at(bytes, self.settings().tiering.rate)).await?;
        tracing::info!(pack = pack.id, bytes = shared, "a pack is shared");
        Ok(Some(shared))
    }

    /// Packs with anything in them that are on no shared tier.
    pub fn unshared_packs(&self) -> u64 {
        let alone = |pack: &&mingying_blob::PackHome| {
            pack.tier != Tier::Objects && !pack.shared && pack.len > mingying_blob::FIRST_RECORD
        };
        self.blobs().homes().iter().filter(alone).count() as u64
    }

    /// After which time packs are shared with other nodes; `None`: they are not.
    fn shares_after(&self) -> Option<Duration> {
        let nodes = self.nodes().filter(|_| self.blobs().has_tier(Tier::Objects))?;
        let set = self.settings().tiering.share_after;
        set.or_else(|| nodes.has_others().then_some(SHARE_AFTER)).filter(|after| !after.is_zero())
    }

    /// Whether this node's packs belong to it alone or were taken over by it.
    pub(crate) fn is_held_here(&self, pack: u64) -> bool {
        let Some(nodes) = self.nodes() else { return true };
        let store = store_of(pack);
        store == self.blobs().store()
            || self.blobs().adopted_stores().contains(&store)
            // Nobody has it: then it is missed here as well.
            || !nodes.knows(store)
    }
}

/// Names of the nodes on a database, and whether each holds images and shows no life; for the installation's own check,
/// without an open archive.
pub async fn silent_nodes(db: &Db, now: Timestamp) -> Result<Vec<(String, bool)>, ArchiveError> {
    let (nodes, stores) = (store::nodes(db).await?, store::stores(db).await?);
    let lease = Lease::default();
    let several = db.engine() != Engine::Sqlite && nodes.len() > 1;
    Ok(nodes
        .into_iter()
        .map(|node| {
            let holds = stores.iter().any(|row| row.kind == Kind::Originals && row.node_id == node.id);
            let wait = if node.stopped { lease.stopped } else { lease.dead + lease.beat };
            (node.name, several && holds && now.since(node.seen_at) > wait)
        })
        .collect())
}

/// Where several nodes share an object store and nothing else is configured.
const SHARE_AFTER: Duration = Duration::from_mins(1);
