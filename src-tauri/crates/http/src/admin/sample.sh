#!/bin/sh
# Deskgrid's sample job: makes noisy measurements of a damped oscillation, fits the curve behind them with
# Gauss-Newton steps, and draws both. Nothing but a shell and awk.
set -eu
out=${JOB_OUTPUTS:-/outputs}

printf '\033[1mA damped oscillation, measured and fitted\033[0m\n'
printf 'y(t) = A · exp(−γ t) · cos(ω t + φ)\n\n'

awk -v svg="$out/plot.svg" -v csv="$out/data.csv" '
# Some builds of busybox leave the mathematics out of awk, so these bring their own.
function euler(x,   n, term, sum) {
    if (x < -0.5 || x > 0.5) { sum = euler(x / 2); return sum * sum }
    term = sum = 1
    for (n = 1; n < 16; n++) { term *= x / n; sum += term }
    return sum
}
function cosine(x,   n, term, sum) {
    x -= int(x / 6.283185307179586) * 6.283185307179586
    term = sum = 1
    for (n = 1; n < 24; n++) { term *= -x * x / ((2 * n - 1) * 2 * n); sum += term }
    return sum
}
function sine(x) { return cosine(x - 1.5707963267948966) }
function root(x,   n, y) { y = x > 1 ? x : 1; for (n = 0; n < 40; n++) y = (y + x / y) / 2; return y }
function ln(x,   n, y) { for (n = 0; n < 30; n++) y += 2 * (x - euler(y)) / (x + euler(y)); return y }

function gauss() { return root(-2 * ln(1 - rand())) * cosine(6.2831853 * rand()) }
function model(p, t) { return p[1] * euler(-p[2] * t) * cosine(p[3] * t + p[4]) }
function say(text) { print text; fflush(); system("sleep 0.3") }

# Solves the 4 by 4 normal equations m · x = v, with pivots.
function solve(m, v, x,   i, j, k, best, f, swap) {
    for (i = 1; i <= 4; i++) {
        best = i
        for (j = i + 1; j <= 4; j++) if (abs(m[j, i]) > abs(m[best, i])) best = j
        for (k = 1; k <= 4; k++) { swap = m[i, k]; m[i, k] = m[best, k]; m[best, k] = swap }
        swap = v[i]; v[i] = v[best]; v[best] = swap
        for (j = i + 1; j <= 4; j++) {
            f = m[j, i] / m[i, i]
            for (k = i; k <= 4; k++) m[j, k] -= f * m[i, k]
            v[j] -= f * v[i]
        }
    }
    for (i = 4; i >= 1; i--) {
        x[i] = v[i]
        for (k = i + 1; k <= 4; k++) x[i] -= m[i, k] * x[k]
        x[i] /= m[i, i]
    }
}
function abs(x) { return x < 0 ? -x : x }

function improve(p,   n, i, j, e, c, s, d, m, v, x, r, sum) {
    for (i = 1; i <= 4; i++) { v[i] = 0; for (j = 1; j <= 4; j++) m[i, j] = 0 }
    for (n = 0; n < count; n++) {
        e = euler(-p[2] * T[n]); c = cosine(p[3] * T[n] + p[4]); s = sine(p[3] * T[n] + p[4])
        d[1] = e * c; d[2] = -T[n] * p[1] * e * c; d[3] = -T[n] * p[1] * e * s; d[4] = -p[1] * e * s
        r = Y[n] - p[1] * e * c
        sum += r * r
        for (i = 1; i <= 4; i++) { v[i] += d[i] * r; for (j = 1; j <= 4; j++) m[i, j] += d[i] * d[j] }
    }
    solve(m, v, x)
    for (i = 1; i <= 4; i++) p[i] += x[i]
    return root(sum / count)
}

function px(t) { return left + t / longest * width }
function py(y) { return top + (1.3 - y) / 2.6 * height }
function ry(r) { return low + lowheight / 2 - r / 0.4 * lowheight / 2 }
function text(x, y, class, words) { printf "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>\n", x, y, class, words > svg }
function line(x1, y1, x2, y2, class) {
    printf "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class, x1, y1, x2, y2 > svg
}

function draw(p, rms,   n, t, y, path, upper, lower) {
    left = 78; width = 780; top = 96; height = 300; low = 430; lowheight = 84
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 580\" role=\"img\" " \
        "aria-label=\"Measurements of a damped oscillation with the fitted curve\">" > svg
    print "<style>" \
        "text{font-family:system-ui,-apple-system,Segoe UI,Roboto,DejaVu Sans,sans-serif;font-size:13px;fill:#667085}" \
        ".title{font-size:20px;font-weight:600}.title,.key{fill:#1d2433}.sub{font-size:14px}" \
        ".r{text-anchor:end}.m{text-anchor:middle}.page{fill:#fff}.grid,.axis,.curve{fill:none}" \
        ".grid{stroke:#e6e9ef}.axis{stroke:#667085;stroke-width:1.2}" \
        ".curve{stroke:#2f5bea;stroke-width:2.4;stroke-linejoin:round;stroke-linecap:round}" \
        ".band{fill:#2f5bea;opacity:.13}.dot{fill:#e8743b;opacity:.85}" \
        ".stem{stroke:#e8743b;opacity:.55;stroke-width:1.4}" \
        "@media(prefers-color-scheme:dark){text{fill:#98a2b3}.title,.key{fill:#eef1f7}.page{fill:#161a22}" \
        ".grid{stroke:#2b3242}.axis{stroke:#98a2b3}.curve{stroke:#7d9cff}.band{fill:#7d9cff}.dot{fill:#ffa36b}" \
        ".stem{stroke:#ffa36b}}" \
        "</style>" > svg
    print "<rect class=\"page\" width=\"900\" height=\"580\"/>" > svg
    text(left, 42, "title", "Damped oscillation")
    text(left, 66, "sub", sprintf("y(t) = %.2f · exp(−%.3f t) · cos(%.3f t %s %.2f)", p[1], p[2], p[3], \
        p[4] < 0 ? "−" : "+", abs(p[4])))
    printf "<circle class=\"dot\" cx=\"622\" cy=\"38\" r=\"3.6\"/>\n" > svg
    text(640, 42, "key", count " measurements")
    line(612, 61, 632, 61, "curve")
    text(640, 66, "key", sprintf("fit, ± 2σ with σ = %.3f", rms))
    for (y = -1; y <= 1.01; y += 0.5) {
        line(left, py(y), left + width, py(y), abs(y) < 0.01 ? "axis" : "grid")
        text(left - 12, py(y) + 4.5, "r", sprintf("%s%.1f", y < -0.01 ? "−" : "", abs(y)))
    }
    for (t = 0; t <= longest; t += 5) {
        line(px(t), top, px(t), top + height, "grid")
        line(px(t), low, px(t), low + lowheight, "grid")
        text(px(t), low + lowheight + 22, "m", t)
    }
    for (n = 0; n <= 480; n++) {
        t = n / 480 * longest; y = model(p, t)
        path = path sprintf("%s%.1f %.1f", n ? "L" : "M", px(t), py(y))
        upper = upper sprintf("%s%.1f %.1f", n ? "L" : "M", px(t), py(y + 2 * rms))
        lower = sprintf("L%.1f %.1f", px(t), py(y - 2 * rms)) lower
    }
    print "<path class=\"band\" d=\"" upper lower "Z\"/>" > svg
    for (n = 0; n < count; n++)
        printf "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.2\"/>\n", px(T[n]), py(Y[n]) > svg
    print "<path class=\"curve\" d=\"" path "\"/>" > svg
    for (n = 0; n < count; n++) {
        y = Y[n] - model(p, T[n])
        line(px(T[n]), ry(0), px(T[n]), ry(y), "stem")
        printf "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.1\"/>\n", px(T[n]), ry(y) > svg
    }
    line(left, ry(0), left + width, ry(0), "axis")
    text(left - 12, ry(0.2) + 4.5, "r", "0.2"); text(left - 12, ry(0) + 4.5, "r", "0"); text(left - 12, ry(-0.2) + 4.5, "r", "−0.2")
    print "<text class=\"m\" transform=\"translate(24 " top + height / 2 ")rotate(-90)\">displacement y (cm)</text>" > svg
    print "<text class=\"m\" transform=\"translate(24 " low + lowheight / 2 ")rotate(-90)\">residual</text>" > svg
    text(left + width / 2, low + lowheight + 48, "m", "time t (s)")
    print "</svg>" > svg
}

BEGIN {
    srand(20); count = 180; longest = 30
    truth[1] = 1.15; truth[2] = 0.085; truth[3] = 1.55; truth[4] = -0.4
    say("\033[36m●\033[0m measuring " count " points …")
    for (n = 0; n < count; n++) { T[n] = (n + 0.3 * rand()) / count * longest; Y[n] = model(truth, T[n]) + 0.075 * gauss() }
    p[1] = 0.8; p[2] = 0.05; p[3] = 1.5; p[4] = 0
    for (step = 1; step <= 8; step++) {
        rms = improve(p)
        bar = ""; for (i = 0; i < 24; i++) bar = bar (i < step * 3 ? "█" : "░")
        say(sprintf("\033[34m%s\033[0m  step %d  σ = \033[33m%.4f\033[0m  ω = %.4f  γ = %.4f", bar, step, rms, p[3], p[2]))
    }
    print "t,measured,fitted,residual" > csv
    for (n = 0; n < count; n++) printf "%.4f,%.4f,%.4f,%.4f\n", T[n], Y[n], model(p, T[n]), Y[n] - model(p, T[n]) > csv
    draw(p, rms)
    printf "\n\033[32m✔ fitted\033[0m  period %.2f s, half of it is gone after %.1f s\n", 6.2831853 / p[3], ln(2) / p[2]
}'
printf '\033[2mplot.svg and data.csv are among the outputs.\033[0m\n'
