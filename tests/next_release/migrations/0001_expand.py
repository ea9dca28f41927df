"""Expands the tables that the gateway writes and reads at every turn: columns with a default of the database, and an index."""

from django.db import migrations

EXPAND = """
ALTER TABLE healing_apikey ADD COLUMN next_scope text NOT NULL DEFAULT 'any';
ALTER TABLE healing_rule ADD COLUMN next_reach integer NOT NULL DEFAULT 0;
ALTER TABLE healing_policy ADD COLUMN next_mode text;
ALTER TABLE healing_quarantineitem ADD COLUMN next_lane integer NOT NULL DEFAULT 0;
ALTER TABLE metrics_flush ADD COLUMN next_kind text NOT NULL DEFAULT '';
CREATE TABLE next_release (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
"""


class Migration(migrations.Migration):
    """As ``check_upgrade`` allows it."""

    dependencies = [("healing", "0019_doubt"), ("metrics", "0003_points_of_a_series")]
    operations = [migrations.RunSQL(EXPAND)]
