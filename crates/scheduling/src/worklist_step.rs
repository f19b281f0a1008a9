//! The scheduled procedure step: one per order, moved rather than copied.

use crate::{Device, SchedulingError, Sps, SpsState, store};
use mingying_db::{Db, Tx};
use mingying_events::payload::scheduling::{StepMoved, StepScheduled};
use mingying_kernel::{Action, OrderId, Permit, Scope, SpsId, Timestamp};
use mingying_orders::{Order, OrderError};

/// Names that another system has given to the step (OMI^O23: IPC-2, IPC-4).
#[derive(Debug, Clone, Copy, Default)]
pub struct StepNames<'a> {
    pub sps_id: Option<&'a str>,
    pub procedure_id: Option<&'a str>,
}

/// Makes the order's scheduled step on `device`, or moves the one it has there. The caller has advanced the order, or
/// holds its row in another way.
pub async fn ensure_step<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    device: &Device,
    start: Timestamp,
) -> Result<Sps, SchedulingError> {
    ensure_named(tx, permit, order, device, start, StepNames::default()).await
}

pub(crate) async fn ensure_named<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    device: &Device,
    start: Timestamp,
    names: StepNames<'_>,
) -> Result<Sps, SchedulingError> {
    let order = mingying_orders::load_in(tx, permit.scope(), order).await?;
    let known = store::step_in(tx, order.id).await?;
    let sps_id = match (sh(names.sps_id)?, &known) {
        (Some(given), _) => given,
        (None, Some(step)) => step.sps_id.clone(),
        // A serial per organization fits SH's 16 characters for a very long time.
        (None, None) => format!("S{:09}", store::count(tx, &format!("{}|sps", order.org)).await?),
    };
    let procedure_id = match (sh(names.procedure_id)?, &known) {
        (Some(given), _) => given,
        (None, Some(step)) => step.procedure_id.clone(),
        // One requested procedure per order: its accession number names it too.
        (None, None) => order.accession.to_string(),
    };
    let sps = Sps {
        id: known.as_ref().map_or_else(SpsId::new, |k| k.id),
        org: order.org,
        order: order.id,
        sps_id,
        procedure_id,
        device: device.id,
        station_aet: device.ae_title.clone(),
        modality: order.modality.clone(),
        start,
        description: description(&order),
        state: SpsState::Scheduled,
    };
    store::put_step(tx, &sps, device, permit.now()).await.map_err(|error| match error {
        mingying_db::DbError::Unique { .. } => SchedulingError::Order(OrderError::Duplicate),
        other => other.into(),
    })?;
    mingying_orders::set_place(tx, order.id, device.campus, device.department).await?;
    let about = mingying_events::About::new("order", order.id, order.org).case(order.id).patient(order.patient.id);
    match known {
        // Known and gone from the worklist: it appears anew.
        Some(before) if before.state != SpsState::Cancelled => {
            if before.device != sps.device || before.start != sps.start {
                let payload = StepMoved {
                    sps_id: sps.sps_id.clone(),
                    from_aet: before.station_aet.to_string(),
                    station_aet: sps.station_aet.to_string(),
                    start: sps.start.to_rfc3339(),
                };
                mingying_access::record(tx, permit, &about, &payload).await?;
            }
        }
        _ => {
            let payload = StepScheduled {
                sps_id: sps.sps_id.clone(),
                station_aet: sps.station_aet.to_string(),
                modality: sps.modality.clone(),
                start: sps.start.to_rfc3339(),
            };
            mingying_access::record(tx, permit, &about, &payload).await?;
        }
    }
    Ok(sps)
}

fn sh(given: Option<&str>) -> Result<Option<String>, SchedulingError> {
    let Some(text) = given.map(str::trim).filter(|t| !t.is_empty()) else { return Ok(None) };
    if text.chars().count() > 16 || text.chars().any(|c| c == '\\' || c.is_control()) {
        return Err(SchedulingError::Invalid { field: "sps_id" });
    }
    Ok(Some(text.to_owned()))
}

/// Scheduled Procedure Step Description (0040,0007), VR LO: 64 characters.
fn description(order: &Order) -> String {
    let names: Vec<&str> = order.items.iter().map(|i| i.name.as_str()).collect();
    names.join("+").chars().filter(|c| *c != '\\' && !c.is_control()).take(64).collect()
}

/// How far the device is with it. `Scheduled` puts it back into the worklist.
pub async fn set_step_state<A: Action>(
    tx: &mut Tx,
    permit: &Permit<A>,
    order: OrderId,
    state: SpsState,
) -> Result<(), SchedulingError> {
    store::set_step_state(tx, order, state, permit.now()).await?;
    Ok(())
}

pub async fn step_of(db: &Db, scope: Scope, order: OrderId) -> Result<Option<Sps>, SchedulingError> {
    Ok(store::step(db, scope, order).await?)
}

pub async fn step_of_in(tx: &mut Tx, order: OrderId) -> Result<Option<Sps>, SchedulingError> {
    Ok(store::step_in(tx, order).await?)
}

/// The step that a modality names, when exactly one is visible.
pub async fn step_by_id(tx: &mut Tx, scope: Scope, sps_id: &str) -> Result<Option<Sps>, SchedulingError> {
    let sps_id = sps_id.trim();
    if sps_id.is_empty() {
        return Ok(None);
    }
    Ok(store::step_by_id(tx, scope, sps_id).await?)
}
