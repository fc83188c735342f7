"""The front page, and comments by those who are logged in."""

from django.conf import settings
from django.contrib.auth import authenticate, login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import Context, Template
from django.template.context_processors import csrf
from django.utils.html import format_html, format_html_join

from blog.models import Comment, Post

LOGIN = Template("<form method=post>{% csrf_token %}<input name=user><input name=password type=password></form>")


def front(request: HttpRequest) -> HttpResponse:
    posts = Post.objects.order_by("-id")
    if settings.JOIN_AUTHORS:
        posts = posts.select_related("author")
    items = format_html_join("", "<li>{} by {}</li>", ((post.title, post.author.username) for post in posts[:30]))
    return HttpResponse(format_html("<ul>{}</ul>", items))


def log_in(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        user = authenticate(request, username=request.POST["user"], password=request.POST["password"])
        if user is None:
            return HttpResponse("no", status=403)
        login(request, user)
        return HttpResponseRedirect("/")
    return HttpResponse(LOGIN.render(Context(csrf(request))))


def comment(request: HttpRequest, post: int) -> HttpResponse:
    if not request.user.is_authenticated:
        return HttpResponse("log in first", status=403)
    Comment.objects.create(post_id=post, text=request.POST["text"])
    return HttpResponse("thanks", status=201)


def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")
