//! The policy table: action -> roles. `docs/permissions.csv` states the same by hand, and a test holds the two and the
//! real endpoints together (R-5.2.1-a).
//!
//! The separations that matter: the security officer reads the audit log and no report; the engineer works on devices
//! and interfaces and sees no patient data; the administrator manages people and configuration and no clinical object
//! (but mends interface messages); author and auditor of a report are kept apart by `reporting`, not here; machines
//! move images and steps; a display shows masked names only.

use mingying_kernel::{Actor, ActorKind, Policy, Role, Scope};

use Role::{
    Admin, Clinician, Display, Engineer, Expert, Head, Machine, Nurse, Qc, Radiologist, Registrar, Security, Senior,
    Tech, Trainee,
};

const PEOPLE: &[Role] = &Role::PEOPLE;
/// Everybody who works with patients.
const CLINICAL: &[Role] = &[Registrar, Nurse, Tech, Trainee, Radiologist, Senior, Expert, Clinician, Qc, Head];

/// Who may do what. An action that is not here is denied to everybody but Mingying's own workers.
pub const TABLE: &[(&str, &[Role])] = &[
    ("session.self", PEOPLE),
    ("patient.register", &[Registrar, Nurse]),
    ("patient.read", CLINICAL),
    ("patient.edit", &[Registrar, Nurse]),
    (
        "catalogue.read",
        &[
            Admin,
            Registrar,
            Nurse,
            Tech,
            Trainee,
            Radiologist,
            Senior,
            Expert,
            Clinician,
            Qc,
            Engineer,
            Head,
            Security,
            Machine,
        ],
    ),
    ("catalogue.edit", &[Admin, Head]),
    ("order.create", &[Registrar, Nurse, Clinician]),
    ("order.read", &[Registrar, Nurse, Tech, Trainee, Radiologist, Senior, Expert, Clinician, Qc, Head, Machine]),
    ("order.accept", &[Registrar, Nurse, Head]),
    ("order.cancel", &[Registrar, Nurse, Clinician, Head]),
    ("slot.read", &[Registrar, Nurse, Tech, Clinician, Head]),
    ("appointment.book", &[Registrar, Nurse, Clinician, Head]),
    ("queue.read", &[Registrar, Nurse, Tech, Radiologist, Senior, Qc, Head]),
    ("queue.checkin", &[Registrar, Nurse, Tech]),
    ("queue.call", &[Registrar, Nurse, Tech]),
    ("display.read", &[Admin, Registrar, Nurse, Tech, Engineer, Head, Display]),
    ("display.manage", &[Admin, Engineer, Head]),
    ("exam.read", &[Registrar, Nurse, Tech, Trainee, Radiologist, Senior, Expert, Qc, Head]),
    // Ultrasound is performed by physicians.
    ("exam.perform", &[Tech, Radiologist, Senior]),
    ("study.read", &[Tech, Trainee, Radiologist, Senior, Expert, Clinician, Qc, Head, Machine]),
    ("study.store", &[Tech, Machine]),
    ("study.link", &[Tech, Radiologist, Senior, Qc, Head]),
    ("quarantine.manage", &[Admin, Qc, Head]),
    // Nobody who reads or reports deletes what was read. The administrator, who answers for retention and finds what was
    // deleted by number, has no access to the images themselves.
    ("study.delete", &[Admin, Qc, Head]),
    ("storage.read", &[Admin, Engineer]),
    ("storage.manage", &[Admin, Engineer]),
    ("reading.read", &[Trainee, Radiologist, Senior, Expert, Qc, Head]),
    // The registrar hands out printed reports.
    ("report.read", &[Registrar, Trainee, Radiologist, Senior, Expert, Clinician, Qc, Head]),
    ("report.draft", &[Trainee, Radiologist, Senior, Expert]),
    ("report.initial", &[Radiologist, Senior, Expert]),
    ("report.audit", &[Senior, Expert]),
    ("template.edit", &[Radiologist, Senior, Expert, Head]),
    ("template.approve", &[Senior, Expert, Head]),
    // Everybody who writes keeps own phrases; the shared ones are changed by who may edit templates.
    ("phrase.use", &[Trainee, Radiologist, Senior, Expert, Head]),
    ("share.create", &[Registrar, Radiologist, Senior, Clinician, Head]),
    // The security officer can end any sharing without seeing what is shared.
    ("share.revoke", &[Registrar, Radiologist, Senior, Clinician, Head, Security]),
    ("share.read", &[Registrar, Radiologist, Senior, Clinician, Qc, Head, Security]),
    ("timeline.read", CLINICAL),
    ("message.read", &[Admin, Qc]),
    ("message.repair", &[Admin]),
    ("message.receive", &[Machine]),
    ("deadletter.read", &[Admin, Engineer, Head]),
    ("deadletter.retry", &[Admin, Engineer]),
    ("peer.read", &[Admin, Tech, Engineer, Head]),
    ("peer.manage", &[Admin, Engineer]),
    ("user.read", &[Admin, Head, Security]),
    ("user.manage", &[Admin]),
    ("audit.read", &[Security]),
    ("status.read", &[Admin, Engineer, Head, Security, Machine]),
    (
        "live.listen",
        &[
            Admin,
            Registrar,
            Nurse,
            Tech,
            Trainee,
            Radiologist,
            Senior,
            Expert,
            Clinician,
            Qc,
            Engineer,
            Head,
            Security,
            Machine,
        ],
    ),
    ("mwl.query", &[Tech, Machine]),
    ("mpps.write", &[Machine]),
];

/// The policy of the table above; the scope is the actor's organization.
#[derive(Debug, Clone, Copy, Default)]
pub struct RolePolicy;

impl Policy for RolePolicy {
    fn allow(&self, actor: &Actor, action: &str) -> Option<Scope> {
        let scope = actor.org.map_or(Scope::All, Scope::Org);
        if actor.kind == ActorKind::System && actor.roles.contains(&Role::System) {
            return Some(scope);
        }
        // A person whose sign-in still lacks the second factor holds no role, and may only complete it.
        if action == "session.self" && actor.kind == ActorKind::User {
            return Some(scope);
        }
        let (_, roles) = TABLE.iter().find(|(name, _)| *name == action)?;
        actor.roles.iter().any(|role| roles.contains(role)).then_some(scope)
    }
}

/// The actions that the holder of `roles` may do, for the client's menus.
pub fn actions_of(roles: &[Role]) -> Vec<&'static str> {
    TABLE.iter().filter(|(_, allowed)| roles.iter().any(|role| allowed.contains(role))).map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(kind: ActorKind, roles: &[Role]) -> Actor {
        Actor { kind, id: "x".into(), name: String::new(), roles: roles.to_vec(), org: None }
    }

    fn allows(role: Role, action: &str) -> bool {
        RolePolicy.allow(&actor(ActorKind::Device, &[role]), action).is_some()
    }

    #[test]
    fn duties_are_separated() {
        assert!(allows(Security, "audit.read") && !allows(Security, "report.read"));
        assert!(!allows(Admin, "audit.read") && !allows(Admin, "patient.read"));
        for action in ["patient.read", "order.read", "report.read", "study.read", "timeline.read", "message.read"] {
            assert!(!allows(Engineer, action), "{action}");
        }
        assert!(!allows(Trainee, "report.initial") && !allows(Radiologist, "report.audit"));
        assert!(allows(Machine, "study.store") && !allows(Machine, "report.read"));
    }

    #[test]
    fn display_reads_displays_only() {
        let all: Vec<_> = TABLE.iter().filter(|(_, roles)| roles.contains(&Display)).map(|(name, _)| *name).collect();
        assert_eq!(all, ["display.read"]);
    }

    #[test]
    fn unknown_actions_and_patients_are_denied() {
        assert!(RolePolicy.allow(&actor(ActorKind::User, PEOPLE), "no.such").is_none());
        assert!(RolePolicy.allow(&actor(ActorKind::Patient, &[]), "report.read").is_none());
        assert!(RolePolicy.allow(&actor(ActorKind::Patient, &[]), "session.self").is_none());
    }

    #[test]
    fn half_signed_in_people_may_only_complete_it() {
        let half = actor(ActorKind::User, &[]);
        for (action, _) in TABLE {
            assert_eq!(RolePolicy.allow(&half, action).is_some(), *action == "session.self", "{action}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = TABLE.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
