import numpy as np,time
from vidgen_tf.worlds.faces.states import sample_states
from vidgen_tf.datasets import load
C=32;p=16;k=4
a=np.load('/tmp/st/faces-64.npy'); sa=sample_states(3000,1,0,16,64)
c=load("faces"); fr=np.concatenate([a,c.frames]); st={q:np.concatenate([sa[q],c.states[q]]) for q in sa if sa[q].ndim<2}
te=load("faces","test").frames
def patches(x):
    N,T,H,W,Cc=x.shape
    x=x.reshape(N,T//k,k,H//p,p,W//p,p,Cc).transpose(0,1,3,5,2,4,6,7)
    return x.reshape(N,T//k,(H//p)**2,-1)
P=16; D=p*p*k*3
B=np.zeros((P,D,C),'f4'); M=np.zeros((P,D),'f4')
Z=np.zeros((len(fr),4,P,C),'f4')
rng=np.random.default_rng(0); idx=rng.permutation(len(fr))[:1500]
X=patches(fr[idx])
for q in range(P):
    A=X[:,:,q].reshape(-1,D).astype('f4')/127.5-1; A=A[rng.permutation(len(A))[:4000]]
    M[q]=A.mean(0); U,s,Vt=np.linalg.svd(A-M[q],full_matrices=False); B[q]=Vt[:C].T
for i in range(0,len(fr),250):
    x=patches(fr[i:i+250]).astype('f4')/127.5-1
    Z[i:i+250]=np.einsum('ntpd,pdc->ntpc',x-M,B)
std=Z.std(axis=(0,1)); print('std',std[5,::6])
np.savez('/tmp/st/faces-lat.npz',lat=Z.reshape(len(fr),4,-1),states=st,B=B,M=M)
