"""All readers, by name."""

import subjects_arrays
import subjects_models
import subjects_outputs
import subjects_server
import subjects_tables
import subjects_text
from subject import Subject

SUBJECTS: dict[str, Subject] = {
    subject.name: subject
    for module in (
        subjects_text,
        subjects_tables,
        subjects_arrays,
        subjects_models,
        subjects_outputs,
        subjects_server,
    )
    for subject in module.SUBJECTS
}
