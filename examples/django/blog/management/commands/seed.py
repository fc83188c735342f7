"""`python manage.py seed POSTS`: users who write posts."""

from argparse import ArgumentParser

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from blog.models import Post


class Command(BaseCommand):
    """Fills the migrated database."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("posts", type=int)

    def handle(self, *args: object, **options: int) -> None:
        password = make_password("secret")
        users = User.objects.bulk_create(User(username=f"user{n}", password=password) for n in range(200))
        Post.objects.bulk_create(Post(author=users[n % 200], title=f"Post {n}") for n in range(options["posts"]))
