"""Addresses."""

from django.urls import path

from blog import views

urlpatterns = [
    path("", views.front),
    path("health", views.health),
    path("login", views.log_in),
    path("posts/<int:post>/comments", views.comment),
]
