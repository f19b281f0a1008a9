//! Patients and orders as every list and page shows them.

use crate::{ApiResult, App};
use mingying_kernel::{OrderId, Scope};
use serde::Serialize;
use utoipa::ToSchema;

/// Who it is about, as lists show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PatientSummary {
    pub id: String,
    pub name: String,
    pub name_latin: String,
    /// `M`, `F`, `O`, `U`
    pub sex: &'static str,
    /// `YYYY-MM-DD`
    pub birth_date: Option<String>,
    pub mrn: Option<String>,
}

impl From<&mingying_patients::PatientSummary> for PatientSummary {
    fn from(p: &mingying_patients::PatientSummary) -> Self {
        Self {
            id: p.id.to_string(),
            name: p.name.clone(),
            name_latin: p.name_latin.clone(),
            sex: p.sex.as_str(),
            birth_date: p.birth_date.map(|d| d.to_string()),
            mrn: p.mrn.clone(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrderItem {
    pub id: String,
    pub catalogue_id: String,
    pub code: String,
    pub name: String,
    pub name_en: String,
    pub modality: String,
    pub body_part: String,
    /// `L`, `R`, `B`
    pub side: Option<&'static str>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrderAppointment {
    pub id: String,
    pub device_id: String,
    pub device_name: String,
    pub room_name: String,
    pub start: String,
    pub end: String,
    pub state: &'static str,
}

/// A request and how far it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Order {
    pub id: String,
    pub accession: String,
    pub placer_number: Option<String>,
    pub patient: PatientSummary,
    /// See domain: `ordered`, `accepted`, `scheduled`, `arrived` …
    pub state: &'static str,
    pub priority: &'static str,
    pub visit_class: &'static str,
    pub department: String,
    pub physician: String,
    pub diagnosis: String,
    pub history: String,
    pub purpose: String,
    pub special: Vec<&'static str>,
    /// What the automatic check found missing.
    pub findings: Vec<&'static str>,
    /// Why it was returned, cancelled, discontinued or is to be taken again.
    pub reason: String,
    pub modality: String,
    pub items: Vec<OrderItem>,
    /// The study that was linked to it first; the UID that the worklist gives out while there is none.
    pub study_uid: String,
    pub appointment: Option<OrderAppointment>,
    pub ticket: Option<String>,
    /// Images received.
    pub images: u32,
    pub created_at: String,
    pub version: i64,
    /// `desk` or `hl7`
    pub source: &'static str,
}

/// Orders with their appointments, tickets and image counts.
pub async fn orders(app: &App, scope: Scope, found: Vec<mingying_orders::Order>) -> ApiResult<Vec<Order>> {
    let ids: Vec<OrderId> = found.iter().map(|o| o.id).collect();
    let appointments = mingying_scheduling::appointments_of(&app.db, scope, &ids).await?;
    let tickets = mingying_flow::tickets_of(&app.db, scope, &ids).await?;
    let progress = mingying_exam::progress_of(&app.db, scope, &ids).await?;
    let links = mingying_reading::links_of(&app.db, scope, &ids).await?;
    Ok(found
        .into_iter()
        .map(|o| {
            let appointment = appointments.iter().find(|a| a.appointment.order == o.id).map(|a| OrderAppointment {
                id: a.appointment.id.to_string(),
                device_id: a.appointment.device.to_string(),
                device_name: a.device_name.clone(),
                room_name: a.room_name.clone(),
                start: a.appointment.start.to_rfc3339(),
                end: a.appointment.end.to_rfc3339(),
                state: a.appointment.state.as_str(),
            });
            // The list is oldest first: the newest ticket counts.
            let ticket = tickets.iter().rev().find(|(id, _)| *id == o.id).map(|(_, ticket)| ticket.clone());
            let images = progress.iter().find(|p| p.order == o.id).map_or(0, |p| p.images);
            // A device that took no worklist has made a UID of its own.
            let study = links.iter().find(|link| link.order == o.id).map(|link| link.study_uid.clone());
            let shown = order(o, appointment, ticket, images);
            Order { study_uid: study.unwrap_or_else(|| shown.study_uid.clone()), ..shown }
        })
        .collect())
}

/// One order, likewise.
pub async fn one(app: &App, scope: Scope, found: mingying_orders::Order) -> ApiResult<Order> {
    orders(app, scope, vec![found]).await?.into_iter().next().ok_or_else(crate::ApiError::not_found)
}

fn order(
    o: mingying_orders::Order,
    appointment: Option<OrderAppointment>,
    ticket: Option<String>,
    images: u32,
) -> Order {
    Order {
        id: o.id.to_string(),
        accession: o.accession.to_string(),
        placer_number: o.placer.map(|p| p.number),
        patient: PatientSummary::from(&o.patient),
        state: o.state.as_str(),
        priority: o.priority.as_str(),
        visit_class: o.visit_class.as_str(),
        department: o.department,
        physician: o.physician,
        diagnosis: o.diagnosis,
        history: o.history,
        purpose: o.purpose,
        special: o.special.iter().map(|s| s.as_str()).collect(),
        findings: o.findings.iter().map(|f| f.as_str()).collect(),
        reason: o.reason,
        modality: o.modality,
        items: o
            .items
            .into_iter()
            .map(|i| OrderItem {
                id: i.id,
                catalogue_id: i.catalogue_id,
                code: i.code,
                name: i.name,
                name_en: i.name_en,
                modality: i.modality,
                body_part: i.body_part,
                side: i.side.map(|s| s.as_str()),
            })
            .collect(),
        study_uid: o.study_uid.to_string(),
        appointment,
        ticket,
        images,
        created_at: o.created_at.to_rfc3339(),
        version: o.version,
        source: o.source.as_str(),
    }
}
