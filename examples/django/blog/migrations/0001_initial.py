"""Posts and comments."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """The first one."""

    initial = True
    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.CreateModel(
            "Post",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("title", models.CharField(max_length=200)),
                ("author", models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)),
            ],
        ),
        migrations.CreateModel(
            "Comment",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("text", models.TextField()),
                ("post", models.ForeignKey("blog.Post", models.CASCADE)),
            ],
        ),
    ]
