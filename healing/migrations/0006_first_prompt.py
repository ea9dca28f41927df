"""The first version of the prompt comes with the program."""

from django.db import migrations

from healing.core.assist.prompt import BUILTIN


def put_in(apps, schema_editor):
    """Active where no other version is."""
    prompts = apps.get_model("healing", "Prompt")
    if prompts.objects.filter(name="fix").exists():
        return
    prompts.objects.create(
        name="fix", version=1, system=BUILTIN.system, task=BUILTIN.task, temperature=BUILTIN.temperature,
        max_tokens=BUILTIN.max_tokens, active=True, author="mendgate", why="comes with the program",
    )


class Migration(migrations.Migration):
    dependencies = [("healing", "0005_assist")]
    operations = [migrations.RunPython(put_in, migrations.RunPython.noop)]
