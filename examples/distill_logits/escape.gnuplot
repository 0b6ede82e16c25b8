# Draws the steps-to-escape table:  gnuplot -e "table='escape.tsv'; picture='escape.svg'" escape.gnuplot
set terminal svg size 840,560 dynamic background rgb 'white' font 'Helvetica,14'
set output picture
set datafile separator '\t'
stats table using 1 every ::1 nooutput
set logscale xy
set xrange [1e-3:STATS_min / 2]
set yrange [1:30000]
set format x '10^{%T}'
set format y '10^{%T}'
set xlabel 'p(y*): what the student first gives the token that the teacher wants' offset 0,0.3
set bmargin 8
set ylabel 'gradient steps until p(y*) ≥ 1/2'
set key below height 0.5 spacing 1.3 samplen 2 maxrows 2
set grid xtics ytics lc rgb '#dddddd'
most = 10000
set arrow from graph 0,first most to graph 1,first most nohead dt 3 lc rgb '#888888'
set label 'given up after 10 000' at graph 0.02,first most*1.35 tc rgb '#666666'
log_law(e) = -log(e)
inverse_law(e) = 1 / (e * -log(e))
plot log_law(x) with lines dt 2 lw 1.5 lc rgb '#888888' title 'log(1/ε)', \
     (inverse_law(x) < most ? inverse_law(x) : 1/0) with lines dt 4 lw 1.5 lc rgb '#888888' title '1/(ε log 1/ε)', \
     table using 1:3 with points pt 7 ps 1.1 lc rgb '#1b7837' title 'TGPO guidance', \
     table using 1:4 with points pt 6 ps 1.3 lw 2 lc rgb '#2166ac' title 'forward KL', \
     table using 1:($6 > most ? 1/0 : $6) with points pt 9 ps 1.1 lc rgb '#b2182b' title 'reverse KL, exact', \
     table using 1:($7 > most ? 1/0 : $7) with points pt 2 ps 1 lw 2 lc rgb '#ef8a62' title 'reverse KL, sampled', \
     table using 1:($5 > most ? 1/0 : $5) with points pt 4 ps 1.1 lw 2 lc rgb '#762a83' title 'Jensen-Shannon 0.5', \
     table using 1:($6 > most ? most*1.12 : 1/0) with points pt 8 ps 1.1 lw 2 lc rgb '#b2182b' notitle, \
     table using 1:($7 > most ? most*1.0 : 1/0) with points pt 2 ps 1 lw 2 lc rgb '#ef8a62' notitle, \
     table using 1:($5 > most ? most*0.89 : 1/0) with points pt 4 ps 1.1 lw 2 lc rgb '#762a83' notitle
