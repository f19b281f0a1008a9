//! Appointments, scheduled steps, rooms and devices.

use crate::Payload;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentHeld {
    #[serde(default)]
    pub device: String,
    /// RFC 3339
    #[serde(default)]
    pub start: String,
    #[serde(default)]
    pub until: String,
}
impl Payload for AppointmentHeld {
    const TOPIC: &'static str = "appt.held";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentBooked {
    /// The device's AE title.
    #[serde(default)]
    pub device: String,
    #[serde(default)]
    pub start: String,
    #[serde(default)]
    pub end: String,
    /// Set by another system over an occupied time.
    #[serde(default)]
    pub overlaps: bool,
}
impl Payload for AppointmentBooked {
    const TOPIC: &'static str = "appt.booked";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentMoved {
    #[serde(default)]
    pub from_device: String,
    #[serde(default)]
    pub from_start: String,
    #[serde(default)]
    pub device: String,
    #[serde(default)]
    pub start: String,
    #[serde(default)]
    pub end: String,
}
impl Payload for AppointmentMoved {
    const TOPIC: &'static str = "appt.moved";
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppointmentCheckedIn {
    #[serde(default)]
    pub start: String,
}
impl Payload for AppointmentCheckedIn {
    const TOPIC: &'static str = "appt.checkedin";
}

/// An appointment was cancelled or a hold expired; its time can be booked again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotFreed {
    #[serde(default)]
    pub device: String,
    #[serde(default)]
    pub start: String,
    #[serde(default)]
    pub reason: String,
}
impl Payload for SlotFreed {
    const TOPIC: &'static str = "slot.freed";
}

/// The exam stands in a device's worklist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepScheduled {
    #[serde(default)]
    pub sps_id: String,
    #[serde(default)]
    pub station_aet: String,
    #[serde(default)]
    pub modality: String,
    #[serde(default)]
    pub start: String,
}
impl Payload for StepScheduled {
    const TOPIC: &'static str = "sps.created";
}

/// The worklist item went to another device or time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepMoved {
    #[serde(default)]
    pub sps_id: String,
    #[serde(default)]
    pub from_aet: String,
    #[serde(default)]
    pub station_aet: String,
    #[serde(default)]
    pub start: String,
}
impl Payload for StepMoved {
    const TOPIC: &'static str = "sps.moved";
}

/// A room, a device or its hours were made or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChanged {
    /// `room`, `device`, `hours`, `zone`
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub name: String,
}
impl Payload for ResourceChanged {
    const TOPIC: &'static str = "resource.changed";
}
