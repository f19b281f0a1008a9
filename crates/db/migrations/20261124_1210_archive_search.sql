-- A name is checked study by study when many studies match: from the index alone.
CREATE INDEX study_names_terms ON study_names (study_key, term);
DROP INDEX study_names_study;
