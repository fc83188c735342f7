"""Posts and comments of users."""

from django.contrib.auth.models import User
from django.db import models


class Post(models.Model):
    """One post."""

    author = models.ForeignKey(User, on_delete=models.CASCADE)
    title = models.CharField(max_length=200)


class Comment(models.Model):
    """One comment."""

    post = models.ForeignKey(Post, on_delete=models.CASCADE)
    text = models.TextField()
