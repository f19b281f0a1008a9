//! What is asked for: the catalogue, requests with accession numbers, and the state of each exam.
//!
//! One order is one study: its items are of one modality, its Study Instance UID and accession number are assigned
//! when it is made and never change. Special conditions are coded. The state changes in one place, `advance`, which
//! the crates above call inside their own transactions.

mod advance;
mod catalogue;
mod create;
mod error;
mod find;
mod model;
mod state;
mod store;

pub use advance::{Advanced, accept, accept_in, advance, advance_at, cancel, return_order, set_place};
pub use catalogue::{catalogue, catalogue_by_code, catalogue_item, upsert_catalogue};
pub use create::{Created, create, create_in};
pub use error::OrderError;
pub use find::{by_accession, by_placer, by_study_uid, list, load, load_in, load_locked, load_many};
pub use model::{
    CatalogueItem, Finding, NewItem, NewOrder, Order, OrderItem, OrderQuery, Page, Placer, Priority, Side, Source,
    Special, VisitClass,
};
pub use state::{ExamState, Step};

pub use mingying_patients::{EditCatalogue, ReadCatalogue};

mingying_kernel::action! {
    /// Makes an order.
    CreateOrder = "order.create",
    /// Sees orders.
    ReadOrders = "order.read",
    /// Accepts an order or returns it to the clinician.
    AcceptOrder = "order.accept",
    /// Cancels an order before the exam begins.
    CancelOrder = "order.cancel",
}
