//! Modality Performed Procedure Step (PS3.4 annex F): the modality tells what it performs.

use crate::command::{Command, Response};
use crate::dataset::DataSet;
use crate::session::Session;
use crate::status;
use crate::ul::LinkError;
use crate::worklist::time;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use mingying_exam::{ExamError, MppsCreate, MppsSeries, MppsSet, MppsState, WriteMpps};
use mingying_kernel::{Coded, DicomUid, Timestamp};

/// Series of one step that are read; a step has a few dozen.
const MAX_SERIES: usize = 1000;

type Refusal = (u16, Option<u16>, &'static str);

pub(crate) async fn create(
    session: &mut Session<'_>,
    context: u8,
    mut request: Command,
    attributes: Option<DataSet>,
) -> Result<(), LinkError> {
    if request.sop_instance.is_empty() {
        // The performer may leave the UID to us, who then tell it (PS3.7 10.1.5.1.4).
        request.sop_instance = DicomUid::generate().into();
    }
    let outcome = created(session, &request, attributes).await;
    respond(session, context, &request, outcome).await
}

async fn created(session: &Session<'_>, request: &Command, attributes: Option<DataSet>) -> Result<(), Refusal> {
    let attributes = attributes.ok_or((status::PROCESSING_FAILURE, None, "dimse.attributes"))?;
    let uid = DicomUid::parse_lenient(&request.sop_instance)
        .map_err(|_| (status::INVALID_ATTRIBUTE_VALUE, None, "dimse.sop_instance"))?;
    // A step begins in progress and in no other state (PS3.4 F.7.2.1.2).
    match attributes.text(tags::PERFORMED_PROCEDURE_STEP_STATUS) {
        "IN PROGRESS" => {}
        "" => return Err((status::MISSING_ATTRIBUTE, None, "dimse.status")),
        _ => return Err((status::INVALID_ATTRIBUTE_VALUE, None, "dimse.status")),
    }
    let permit = session.permit::<WriteMpps>().map_err(|status| (status, None, "dimse.not_authorized"))?;
    let scheduled = attributes.items(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE).first();
    let of_step = |tag| scheduled.map(|step| step.text(tag).to_owned()).filter(|text| !text.is_empty());
    let station = match attributes.text(tags::PERFORMED_STATION_AE_TITLE) {
        "" => session.caller.aet.clone(),
        title => title.to_owned(),
    };
    let create = MppsCreate {
        uid,
        station_aet: station,
        study_uid: of_step(tags::STUDY_INSTANCE_UID).and_then(|uid| DicomUid::parse_lenient(&uid).ok()),
        accession: of_step(tags::ACCESSION_NUMBER),
        sps_id: of_step(tags::SCHEDULED_PROCEDURE_STEP_ID),
        patient_id: Some(attributes.text(tags::PATIENT_ID).to_owned()).filter(|id| !id.is_empty()),
        started_at: instant(
            &attributes,
            tags::PERFORMED_PROCEDURE_STEP_START_DATE,
            tags::PERFORMED_PROCEDURE_STEP_START_TIME,
            &session.shared.settings.zone,
        ),
        dataset_json: attributes.to_json().to_string(),
    };
    mingying_exam::mpps_create(&session.shared.db, &permit, create).await.map(drop).map_err(|error| refusal(&error))
}

pub(crate) async fn set(
    session: &mut Session<'_>,
    context: u8,
    request: &Command,
    attributes: Option<DataSet>,
) -> Result<(), LinkError> {
    let outcome = changed(session, request, attributes).await;
    respond(session, context, request, outcome).await
}

async fn changed(session: &Session<'_>, request: &Command, attributes: Option<DataSet>) -> Result<(), Refusal> {
    let attributes = attributes.ok_or((status::PROCESSING_FAILURE, None, "dimse.attributes"))?;
    let uid = DicomUid::parse_lenient(&request.sop_instance)
        .map_err(|_| (status::NO_SUCH_INSTANCE, None, "dimse.sop_instance"))?;
    let state = match attributes.text(tags::PERFORMED_PROCEDURE_STEP_STATUS) {
        // The status may stay away from a change that leaves it as it is.
        "" | "IN PROGRESS" => MppsState::InProgress,
        "COMPLETED" => MppsState::Completed,
        "DISCONTINUED" => MppsState::Discontinued,
        _ => return Err((status::INVALID_ATTRIBUTE_VALUE, None, "dimse.status")),
    };
    let permit = session.permit::<WriteMpps>().map_err(|status| (status, None, "dimse.not_authorized"))?;
    let set = MppsSet {
        uid,
        status: state,
        ended_at: instant(
            &attributes,
            tags::PERFORMED_PROCEDURE_STEP_END_DATE,
            tags::PERFORMED_PROCEDURE_STEP_END_TIME,
            &session.shared.settings.zone,
        ),
        series: series(&attributes),
        reason: reason(&attributes),
        dataset_json: attributes.to_json().to_string(),
    };
    mingying_exam::mpps_set(&session.shared.db, &permit, set).await.map(drop).map_err(|error| refusal(&error))
}

async fn respond(
    session: &mut Session<'_>,
    context: u8,
    request: &Command,
    outcome: Result<(), Refusal>,
) -> Result<(), LinkError> {
    let mut response = Response::to(request, status::SUCCESS);
    if let Err((status, error_id, comment)) = outcome {
        response.status = status;
        response.error_id = error_id;
        response.comment = comment;
    }
    session.respond(context, &response, None).await
}

fn refusal(error: &ExamError) -> Refusal {
    let (status, error_id) = status::of_step(error);
    tracing::warn!(code = error.code(), status = format_args!("{status:04X}"), %error, "performed step refused");
    (status, error_id, error.code())
}

fn series(attributes: &DataSet) -> Vec<MppsSeries> {
    attributes
        .items(tags::PERFORMED_SERIES_SEQUENCE)
        .iter()
        .take(MAX_SERIES)
        .filter(|series| !series.text(tags::SERIES_INSTANCE_UID).is_empty())
        .map(|series| {
            let objects = series.items(tags::REFERENCED_IMAGE_SEQUENCE).len()
                + series.items(tags::REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE).len();
            MppsSeries {
                series_uid: series.text(tags::SERIES_INSTANCE_UID).to_owned(),
                description: series.text(tags::SERIES_DESCRIPTION).to_owned(),
                images: u32::try_from(objects).unwrap_or(u32::MAX),
            }
        })
        .collect()
}

/// The meaning of the discontinuation reason code, else its code, else the comment on the step.
fn reason(attributes: &DataSet) -> Option<String> {
    let code = attributes.items(tags::PERFORMED_PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE).first();
    let coded = code.map(|code| match code.text(tags::CODE_MEANING) {
        "" => code.text(tags::CODE_VALUE),
        meaning => meaning,
    });
    coded
        .filter(|text| !text.is_empty())
        .or(Some(attributes.text(tags::COMMENTS_ON_THE_PERFORMED_PROCEDURE_STEP)))
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// Date and time of the facility as an instant; `None` when the date is absent or is none.
fn instant(attributes: &DataSet, day: Tag, clock: Tag, zone: &TimeZone) -> Option<Timestamp> {
    let day: Date = crate::worklist::date(attributes.text(day))?.0;
    let (at, _) = time(attributes.text(clock)).unwrap_or_default();
    let zoned = day.to_datetime(at).to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facility_time_becomes_an_instant() {
        let mut set = DataSet::default();
        set.put_text(tags::PERFORMED_PROCEDURE_STEP_START_DATE, "20260302");
        set.put_text(tags::PERFORMED_PROCEDURE_STEP_START_TIME, "080000.000");
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let at =
            instant(&set, tags::PERFORMED_PROCEDURE_STEP_START_DATE, tags::PERFORMED_PROCEDURE_STEP_START_TIME, &zone);
        assert_eq!(at.map(Timestamp::to_rfc3339).as_deref(), Some("2026-03-02T00:00:00Z"));
        assert_eq!(instant(&set, tags::STUDY_DATE, tags::STUDY_TIME, &zone), None);
    }

    #[test]
    fn series_and_reason_are_read() {
        let mut series_item = DataSet::default();
        series_item.put_text(tags::SERIES_INSTANCE_UID, "1.2.3");
        series_item.put_items(tags::REFERENCED_IMAGE_SEQUENCE, vec![DataSet::default(); 3]);
        let mut set = DataSet::default();
        set.put_items(tags::PERFORMED_SERIES_SEQUENCE, vec![series_item, DataSet::default()]);
        let found = series(&set);
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().map(|s| s.images), Some(3));
        assert_eq!(reason(&set), None);
        let mut code = DataSet::default();
        code.put_text(tags::CODE_VALUE, "110513");
        set.put_items(tags::PERFORMED_PROCEDURE_STEP_DISCONTINUATION_REASON_CODE_SEQUENCE, vec![code]);
        assert_eq!(reason(&set).as_deref(), Some("110513"));
    }
}
